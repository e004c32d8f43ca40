"""A study is opened from a file, from values or from a spec, with what the environment and the site leave open."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import numpy as np
import pytest
import yaml

from scmmlab.api.study import Study
from scmmlab.config import study_yaml
from scmmlab.errors import ScmmlabError, SpecError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    from tiny_study import ablation

    path = tmp_path / "tiny.yaml"
    path.write_text(study_yaml(ablation(tmp_path)))
    return path


@pytest.fixture
def values(file: Path) -> dict:
    return yaml.safe_load(file.read_text(encoding="utf-8"))


def keys(study: Study) -> list[str]:
    return [cell.key for cell in study.resolved.cells]


def test_a_file_its_values_and_its_spec_are_one_study(file: Path, values: dict) -> None:
    before = json.dumps(values)
    opened = Study.open(file)
    assert keys(Study.open(str(file))) == keys(Study.open(values)) == keys(Study.open(opened.spec)) == keys(opened)
    assert Study.open(values).spec == Study.open(opened.spec).spec == opened.spec
    assert json.dumps(values) == before, "what is given stays as it is"


def test_values_may_have_the_short_forms_of_a_file_and_pythons_own_kinds(values: dict) -> None:
    short = {
        **values,
        "variants": {"full": None, "sparse": {"aggregator.top_k": np.int64(3)}},
        "seeds": np.arange(2),
        "transfers": (values["transfers"][0] | {"source": {"table": Path(values["transfers"][0]["source"]["table"])}},),
    }
    study = Study.open(short)
    assert [(cell.variant, cell.seed) for cell in study.resolved.cells] == [
        (variant, seed) for variant in ("full", "sparse") for seed in (0, 1)
    ]
    assert study.resolved.cells[2].experiment.aggregator.top_k == 3


def test_a_table_beside_the_working_directory_is_found(values: dict, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (transfer,) = values["transfers"]
    for side in ("source", "target"):
        transfer[side]["table"] = side
    assert Study.open(values).spec.transfers[0].target.table == str(tmp_path / "target")


@pytest.mark.parametrize(
    ("by_python", "by_command"),
    [
        ({"seeds": [4]}, ["seeds=[4]"]),
        ({"seeds": range(2), "base.masking.ratio": np.float32(0.25)}, ["seeds=[0,1]", "base.masking.ratio=0.25"]),
        ({"variants.full": {"aggregator.top_k": 2}}, ["variants.full={aggregator.top_k: 2}"]),
        ({"base.scaling": "none", "description": "no: 1"}, ["base.scaling=none", "description='no: 1'"]),
        ({"variants.no_contrast.contrast.enabled": True}, ["variants.no_contrast.contrast.enabled=true"]),
        ({}, []),
    ],
)
def test_changes_are_those_of_the_command_line(file: Path, values: dict, by_python, by_command) -> None:
    expected = Study.open(file, set=by_command)
    for study in (file, values):
        opened = Study.open(study, set=by_python)
        assert opened.spec == expected.spec
        assert keys(opened) == keys(expected)


@pytest.mark.parametrize(
    "override",
    ["base.masking.ratio=1.5", "base.maskin.ratio=0.5", "seeds", "transfers.9.name=x", "base.masking.ratio=text", "=1"],
)
def test_errors_are_the_sentences_of_the_command_line(scmmlab, file: Path, override: str) -> None:
    done = scmmlab("plan", file, "--set", override, "--no-estimate")
    path, equals, value = override.partition("=")
    forms = [[override]] + ([{path: yaml.safe_load(value)}] if path and equals else [])
    for given in forms:
        with pytest.raises(SpecError) as refused:
            Study.open(file, set=given)
        hint = f"\nHint: {refused.value.hint}" if refused.value.hint else ""
        assert (done.status, done.err) == (2, f"scmmlab: {refused.value.message}{hint}\n")


def test_what_is_wrong_with_values_is_all_said(values: dict) -> None:
    values["base"]["masking"]["ratio"] = 2
    values["sedes"] = values.pop("seeds")
    with pytest.raises(SpecError, match="2 things are wrong with the study") as refused:
        Study.open(values)
    assert "'base.masking.ratio' in the values given: it must" in refused.value.message
    assert "did you mean 'seeds'?" in refused.value.message
    for wrong, sentence in (
        ({}, "'kind' in the values given: it is missing"),
        ({1: 2}, "must be text, got 1"),
        (5, "must be a file, a mapping of keys to values or a spec, got 5"),
    ):
        with pytest.raises(SpecError, match=sentence):
            Study.open(wrong)
    with pytest.raises(SpecError, match="'set': it must be a mapping of dotted paths to values"):
        Study.open(values, set=[{"seeds": [0]}])


@pytest.mark.parametrize("method", ["encoder", "rerun"])
def test_a_cell_that_is_not_there_is_named_as_by_the_command(scmmlab, file: Path, tmp_path: Path, method: str) -> None:
    study = Study.open(file, tmp_path / "runs")
    with pytest.raises(ScmmlabError, match="did you mean full/source-to-target/0") as refused:
        getattr(study, method)("ful/source-to-target/0")
    done = scmmlab("rerun", "ful/source-to-target/0", "--study", file, "--store", tmp_path / "runs")
    assert refused.value.message in done.err
    with pytest.raises(ScmmlabError, match="is not finished"):
        getattr(study, method)("full/source-to-target/0")


def test_the_store_is_the_one_that_is_named_else_the_environments_else_the_sites(
    file: Path, tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for variable in ("SCMMLAB_STORE", "SCMMLAB_SITE"):
        monkeypatch.delenv(variable, raising=False)
    assert Study.open(file).store.uri == "runs"
    site = tmp_path / "site.yaml"
    site.write_text(f"store: {tmp_path}/of-the-site\nresources: {{pack_size: 3}}\n")
    of_site = Study.open(file, site=site)
    assert (of_site.store.uri, of_site.spec.resources.pack_size) == (f"{tmp_path}/of-the-site", 3)
    assert Study.open(file, site=site, set={"resources.pack_size": 5}).spec.resources.pack_size == 5
    monkeypatch.setenv("SCMMLAB_STORE", f"{tmp_path}/of-the-environment")
    assert Study.open(file, site=site).store.uri == f"{tmp_path}/of-the-environment"
    assert Study.open(file, tmp_path / "named").store.uri == f"{tmp_path}/named"
    with pytest.raises(SpecError, match="There is no site file"):
        Study.open(file, site=tmp_path / "none.yaml")


def test_why_results_may_be_under_other_keys_is_told_or_logged(scmmlab, file: Path, tmp_path: Path, caplog) -> None:
    study = Study.open(file, tmp_path / "runs")
    folder = study.store.study_folder("tiny")
    folder.write_text("plan.json", json.dumps({"keys": 1}))
    heard: list[str] = []
    with caplog.at_level(logging.WARNING, "scmmlab"):
        caplog.clear()  # where the code was edited, that was logged before
        Study.open(file, tmp_path / "runs", notify=heard.append)
        assert not caplog.records
        Study.open(file, tmp_path / "runs")
    (note,) = (note for note in heard if "has results under keys of version 1" in note)
    assert note in [record.getMessage() for record in caplog.records]
    assert f"Note: {note}\n" in scmmlab("results", file, "--store", tmp_path / "runs").err


def test_opening_and_planning_write_nothing(file: Path, tmp_path: Path) -> None:
    study = Study.open(file, tmp_path / "runs")
    assert "full" in str(study.plan())
    assert repr(study) == f"<Study 'tiny' (ablation) in {tmp_path}/runs>"
    assert "No cell is finished" in study._repr_html_()
    assert not (tmp_path / "runs").exists()
