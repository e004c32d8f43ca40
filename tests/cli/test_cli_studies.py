"""A study from plan to report, by the commands that a user types."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from scmmlab.config.loading import load_study

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_the_plan_lists_cells_shared_stages_and_an_estimate(scmmlab, study, tmp_path: Path) -> None:
    done = scmmlab("plan", study, "--store", tmp_path)
    assert done.status == 0
    assert "3 variants × 1 transfer × 2 seeds = 6 cells" in done.out
    assert "6 fine-tunings, 6 to run" in done.out
    assert "on this machine" in done.out
    assert not list(tmp_path.iterdir()), "a plan writes nothing"


@pytest.mark.slow
def test_a_study_runs_once_and_its_results_are_the_same_bytes_in_two_stores(scmmlab, study, tmp_path: Path) -> None:
    tables = []
    for store in (tmp_path / "one", tmp_path / "two"):
        assert scmmlab("status", study, "--store", store).status == 1
        done = scmmlab("run", study, "--engine", "local", "--store", store)
        assert done.status == 0, done.err
        assert "6/6 cells done" in done.err
        assert (store / "studies" / "tiny" / "report" / "report.html").is_file()
        assert scmmlab("status", study, "--store", store).status == 0
        tables.append(scmmlab("results", study, "--store", store).out)
    assert tables[0] == tables[1]
    rows = list(csv.DictReader(io.StringIO(tables[0])))
    assert {row["variant"] for row in rows} == {"full", "no_aggregator", "released"}
    assert {row["part"] for row in rows if row["variant"] == "released"} == {"test"}
    assert json.loads(scmmlab("results", study, "--store", tmp_path / "one", "--format", "json").out)[0] == {
        **{name: value for name, value in rows[0].items() if name not in ("subjects", "seed", "value", "subject")},
        "seed": int(rows[0]["seed"]),
        "subjects": [int(subject) for subject in rows[0]["subjects"].split()],
        "subject": None,
        "value": float(rows[0]["value"]),
    }

    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "one" / "cells").iterdir()}
    again = scmmlab("run", study, "--engine", "local", "--store", tmp_path / "one")
    assert again.status == 0
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "one" / "cells").iterdir()} == before


@pytest.mark.slow
def test_a_cell_that_cannot_be_trained_is_named_and_the_others_are_finished(scmmlab, study, tmp_path: Path) -> None:
    # similarities over so small a temperature overflow float32 at the first step
    changes = "variants.no_aggregator={contrast.temperature: 1.0e-40}"
    done = scmmlab("run", study, "--engine", "local", "--store", tmp_path, "--set", changes, "--tracking-uri", "none")
    assert done.status == 1
    assert "no_aggregator" in done.err
    assert "epoch" in done.err
    status = scmmlab("status", study, "--store", tmp_path, "--set", changes)
    assert status.status == 1
    assert "4 finished, 2 failed" in status.out
    report = (tmp_path / "studies" / "tiny" / "report" / "report.md").read_text()
    assert "ncomplete" in report


def test_every_study_that_ships_is_valid() -> None:
    files = sorted([*(ROOT / "ablations").glob("*.yaml"), *(ROOT / "search_spaces").glob("*.yaml")])
    assert {file.name for file in files} >= {"demo.yaml", "components.yaml", "scmm.yaml"}
    for file in files:
        study = load_study(file).study
        assert file.read_text().startswith("# scmmlab run "), f"{file} opens with the command that runs it"
        assert study.description


def test_the_schema_names_every_part_of_a_study(scmmlab) -> None:
    schema = json.loads(scmmlab("schema").out)
    assert {"AblationSpec", "SweepSpec", "MaskingSpec", "ReleasedProtocol"} <= set(schema["$defs"])
