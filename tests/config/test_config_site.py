"""A site is described once; environment and command line stand above its file, and no cell's key knows of it."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from scmmlab.config import load_study
from scmmlab.config.resolved_settings import load_site
from scmmlab.config.site import site_schema
from scmmlab.config.yaml_lines import line_of
from scmmlab.errors import SpecError
from scmmlab.study import make_plan
from scmmlab.tables import read_manifest

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "cluster" / "site.example.yaml"


@pytest.fixture
def write(tmp_path):
    def write(text):
        path = tmp_path / "site.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def message(path, environment=None):
    with pytest.raises(SpecError) as caught:
        load_site(path, environment or {})
    return str(caught.value)


def sources(site):
    return {setting.path: (setting.value, setting.source) for setting in site.settings()}


def test_the_example_is_a_site_and_names_every_value():
    site = load_site(EXAMPLE, {})
    assert site.spec.ray.address == "http://127.0.0.1:8265"
    unset = {setting.path for setting in site.settings() if setting.source == "default"}
    optional = {"ray.cluster", "ray.ca_file"}
    assert {path for path in unset if not path.startswith("partitions.")} == optional


def test_without_a_file_everything_has_its_default():
    assert {source for _, source in sources(load_site(None, {})).values()} == {"default"}
    assert sources(load_site(None, {}))["store"] == ("runs", "default")
    assert load_site(None, {}).overrides() == []


def test_an_empty_file_is_a_site(write):
    assert load_site(write("# nothing yet\n"), {}).spec == load_site(None, {}).spec


def test_the_file_stands_above_defaults_and_the_environment_above_the_file(write):
    path = write("store: /shared/runs\nresources:\n  workers: 8\n  pack_size: 64\n")
    found = sources(load_site(path, {"SCMMLAB_WORKERS": "2", "MLFLOW_TRACKING_URI": "http://mlflow:5000"}))
    assert found["store"] == ("/shared/runs", f"{path}, line 1")
    assert found["resources.workers"] == (2, "SCMMLAB_WORKERS")
    assert found["resources.pack_size"] == (64, f"{path}, line 4")
    assert found["tracking_uri"] == ("http://mlflow:5000", "MLFLOW_TRACKING_URI")
    assert found["resources.gpus_per_worker"] == (None, "default")


def test_our_variable_stands_above_mlflows_and_an_empty_one_does_not_count():
    environment = {"SCMMLAB_TRACKING_URI": "none", "MLFLOW_TRACKING_URI": "http://mlflow:5000", "SCMMLAB_STORE": ""}
    found = sources(load_site(None, environment))
    assert found["tracking_uri"] == ("none", "SCMMLAB_TRACKING_URI")
    assert found["store"] == ("runs", "default")


def test_the_variable_names_the_file(write):
    path = write("store: /shared/runs\n")
    assert load_site(None, {"SCMMLAB_SITE": str(path)}).spec.store == "/shared/runs"
    assert "SCMMLAB_SITE names it" in message(None, {"SCMMLAB_SITE": "/nowhere/site.yaml"})


@pytest.mark.parametrize(
    ("value", "path"),
    [("http://head:8265", "ray.address"), ("head:6379", "ray.cluster"), ("auto", "ray.cluster")],
)
def test_rays_address_is_the_dashboards_or_the_heads_by_its_form(value, path):
    set_by_it = {
        p: v for p, (v, source) in sources(load_site(None, {"RAY_ADDRESS": value})).items() if source != "default"
    }
    assert set_by_it == {path: value}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ray:\n  adress: http://x:1\n", ("line 2", "'ray.adress'", "did you mean 'address'")),
        ("store: runs\n", ("line 1", "'store'", "absolute folder", "got 'runs'")),
        ("resources:\n  workers: '3'\n", ("line 2", "'resources.workers'", "a whole number", "got '3'")),
        ("partitions:\n  a:\n    name: x\n    nodes: 0\n", ("line 4", "at least 1, got 0")),
        ("ray:\n  address: head:8265\n", ("line 2", "http://HOST:PORT", "got 'head:8265'")),
        ("ray:\n  cluster: http://head:8265\n", ("line 2", "HOST:PORT of Ray's head")),
        ("ray:\n  environment: [OK, 'A B']\n", ("line 2", "name of an environment variable")),
        ("store: [\n", ("line 2", "Cannot read")),
        ("- store\n", ("must be a mapping",)),
    ],
)
def test_a_mistake_is_said_with_its_line(write, text, expected):
    said = message(write(text))
    assert all(part in said for part in expected), said


def test_a_mistake_in_the_environment_is_said_with_its_variable():
    said = message(None, {"SCMMLAB_WORKERS": "many"})
    assert "the environment (SCMMLAB_WORKERS)" in said
    assert "got 'many'" in said


@pytest.mark.parametrize("name", ["store", "tracking_uri"])
def test_a_file_holds_no_password_and_none_is_repeated(write, name):
    said = message(write(f"{name}: s3://user:hunter2@bucket/x\n"))
    assert "must not contain a password" in said
    assert "hunter2" not in said


def test_a_password_may_come_from_the_environment():
    assert load_site(None, {"SCMMLAB_STORE": "s3://user:hunter2@bucket/x"}).spec.store == "s3://user:hunter2@bucket/x"


def test_a_line_is_found_through_lists_and_mappings():
    text = "a:\n  - b\n  - c: 1\n    d: 2\n"
    assert [line_of(text, path) for path in (("a",), ("a", "0"), ("a", "1", "d"), ("a", "1", "x"), ("y",))] == [
        *(1, 2, 4, 3),
        None,
    ]


def test_no_key_knows_of_the_site():
    study = ROOT / "ablations" / "demo.yaml"
    site = load_site(EXAMPLE, {})
    alone, at_site = load_study(study), load_study(study, site.overrides())
    assert at_site.study.resources.workers == 8 != alone.study.resources.workers
    plans = [make_plan(loaded.study, read_manifest) for loaded in (alone, at_site)]
    keys = [[(cell.key, cell.pretrain_key) for cell in plan.cells] for plan in plans]
    assert keys[0] == keys[1]


def test_a_partition_is_said_as_options_of_sbatch():
    gpu = load_site(EXAMPLE, {}).spec.partitions["gpu"]
    assert " ".join(gpu.sbatch_options()) == (
        "--partition=gpu --nodes=2 --ntasks-per-node=1 --cpus-per-task=16 --gpus-per-node=4 --time=720 --account=eeg"
    )


def test_the_schema_describes_every_value():
    schema = site_schema()
    parts = [schema, *schema["$defs"].values()]
    undescribed = {name for part in parts for name, value in part["properties"].items() if "description" not in value}
    assert undescribed <= {"ray", "resources"}, "these are described where they are defined"
    assert set(yaml.safe_load(EXAMPLE.read_text())) == set(schema["properties"])
