"""Commands take store, MLflow and resources from the site; `scmmlab site` shows every value and its source."""

from __future__ import annotations

import json

import pytest


@pytest.fixture(autouse=True)
def _nothing_from_outside(monkeypatch):
    for name in ("SCMMLAB_SITE", "SCMMLAB_STORE", "SCMMLAB_TRACKING_URI", "MLFLOW_TRACKING_URI", "RAY_ADDRESS"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def site(tmp_path, finished):
    """A site whose store has a finished study."""
    path = tmp_path / "site.yaml"
    path.write_text(f"store: {finished}\ntracking_uri: none\nresources: {{workers: 4000}}\n")
    return path


def test_the_store_of_the_site_is_looked_into(scmmlab, study, site) -> None:
    assert scmmlab("status", study, "--site", site).status == 0


def test_a_variable_names_the_site(scmmlab, study, site, monkeypatch) -> None:
    monkeypatch.setenv("SCMMLAB_SITE", str(site))
    assert scmmlab("status", study).status == 0


def test_the_command_line_stands_above_the_environment_and_that_above_the_site(
    scmmlab, study, site, finished, tmp_path, monkeypatch
) -> None:
    monkeypatch.setenv("SCMMLAB_STORE", str(tmp_path / "empty"))
    assert scmmlab("status", study, "--site", site).status == 1
    assert scmmlab("status", study, "--site", site, "--store", finished).status == 0


def test_resources_of_the_site_stand_above_the_studys_and_set_above_them(scmmlab, study, site) -> None:
    def cores(*options: str) -> str:
        return next(
            line for line in scmmlab("doctor", study, "--site", site, *options).out.splitlines() if "cores:" in line
        )

    assert "4000 CPU needed" in cores()
    assert cores("--set", "resources.workers=1").startswith("ok")


def test_every_setting_is_shown_with_its_source(scmmlab, site, finished, monkeypatch) -> None:
    monkeypatch.setenv("SCMMLAB_TRACKING_URI", "http://user:hunter2@mlflow:5000")
    shown = {line.split()[0]: line.split()[1:] for line in scmmlab("site", "--site", site).out.splitlines()}
    assert shown["store"] == [str(finished), f"{site},", "line", "1"]
    assert shown["tracking_uri"] == ["http://mlflow:5000", "SCMMLAB_TRACKING_URI"]
    assert shown["ray.address"] == ["–", "default"]
    by_path = {entry["path"]: entry for entry in json.loads(scmmlab("site", "--site", site, "--json").out)}
    assert by_path["resources.workers"] == {"path": "resources.workers", "value": 4000, "source": f"{site}, line 3"}


def test_a_script_asks_for_one_value(scmmlab, site, finished) -> None:
    assert scmmlab("site", "store", "--site", site).out == f"{finished}\n"
    unset = scmmlab("site", "ray.address", "--site", site)
    assert (unset.status, unset.out) == (1, "")
    wrong = scmmlab("site", "stor", "--site", site)
    assert wrong.status == 2
    assert "did you mean 'store'?" in wrong.err


def test_a_wrong_site_ends_every_command_before_it_begins(scmmlab, study, tmp_path) -> None:
    path = tmp_path / "site.yaml"
    path.write_text("stor: /x\n")
    for command in ("plan", "run", "status", "results", "report", "doctor"):
        done = scmmlab(command, study, "--site", path)
        assert done.status == 2
        assert f"Unknown key 'stor' in {path}, line 1" in done.err


def test_the_schema_of_a_site_is_printed(scmmlab) -> None:
    assert "partitions" in json.loads(scmmlab("schema", "site").out)["properties"]
