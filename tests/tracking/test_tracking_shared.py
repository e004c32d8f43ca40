"""Studies of one name from several stores share an MLflow server, and each has its own runs, counts and report."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from mlflow_server import MlflowServer
from tracker_conformance import BARE, FROZEN, FULL, INPUTS, SPEC, VERSIONS, record

from scmmlab.api.recording import open_tracker
from scmmlab.cli.options import to_stderr
from scmmlab.study import ResultStore

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[MlflowServer]:
    folder = tmp_path_factory.mktemp("server")
    with MlflowServer(folder, f"sqlite:///{folder / 'mlflow.db'}") as server:
        yield server


@pytest.fixture
def client(server):
    from mlflow.tracking import MlflowClient

    return MlflowClient(server.uri)


def tell(server, store: Path, name: str, cells, complete: bool = True, report: str = "", ended: Callable = int) -> None:
    """Tell the server of a study of the store, as `scmmlab mlflow sync` does: each call waits for its answer."""
    folder = store / "studies" / name
    tracker, _ = open_tracker(server.uri, ResultStore(store), name, to_stderr, direct=True)
    with tracker:
        tracker.start_study(name, SPEC, f"the plan of {store.name}", VERSIONS)
        (folder / "plan.json").write_text("{}")
        for cell in cells:
            tracker.start_cell(cell, INPUTS)
            tracker.finish_cell(cell, INPUTS, record(cell))
        ended()
        tracker.progress(len(cells), 0, len(cells))
        (folder / "report").mkdir(exist_ok=True)
        (folder / "report" / "report.html").write_text(report)
        tracker.finish_study(folder / "report", complete)


def shown(client, name: str, which: str = "active_only") -> dict[str, dict]:
    """What the UI's table has of the experiment of that name, by the runs' names."""
    from mlflow.entities import ViewType

    experiment = client.get_experiment_by_name(name)
    assert experiment is not None, f"there is no experiment {name}"
    runs = client.search_runs([experiment.experiment_id], run_view_type=ViewType.from_string(which))
    found = {
        run.info.run_name: {
            "id": run.info.run_id,
            "status": run.info.status,
            "parent": run.data.tags.get("mlflow.parentRunId"),
            "in_plan": run.data.tags.get("scmmlab.in_plan"),
            "counts": {name: value for name, value in run.data.metrics.items() if name.startswith("cells/")},
        }
        for run in runs
    }
    assert len(found) == len(runs), "a run is there twice"
    return found


def text(client, run_id: str, path: str) -> str:
    return Path(client.download_artifacts(run_id, path)).read_text(encoding="utf-8")


def second_name(client, name: str) -> str:
    (other,) = client.search_experiments(filter_string=f"name LIKE '{name} (%'")
    return other.name


def test_two_stores_studies_of_one_name_are_two(server, client, tmp_path, capsys) -> None:
    tell(server, tmp_path / "mine", "demo", (FULL, BARE), report="my report")
    assert f"Recorded in MLflow: {server.uri}, experiment 'demo', run 'study demo'\n" in capsys.readouterr().err
    before = shown(client, "demo")
    tell(server, tmp_path / "yours", "demo", (FULL, FROZEN), report="your report")
    yours = second_name(client, "demo")
    told = f"experiment '{yours}' ('demo' is another store's), run 'study {yours}'\n"
    assert told in capsys.readouterr().err
    assert shown(client, "demo") == before
    assert set(before) == {"study demo", FULL.name, BARE.name}
    assert set(shown(client, yours)) == {f"study {yours}", FULL.name, FROZEN.name}
    for name, report, experiment in (("mine", "my report", "demo"), ("yours", "your report", yours)):
        runs = shown(client, experiment)
        parent = runs.pop(f"study {experiment}")
        assert text(client, parent["id"], "report/report.html") == report
        assert text(client, parent["id"], "plan.txt") == f"the plan of {name}"
        assert {(run["parent"], run["in_plan"], run["status"]) for run in runs.values()} == {
            (parent["id"], "true", "FINISHED")
        }
        assert parent["counts"] == {"cells/finished": 2, "cells/failed": 0, "cells/total": 2}
    for store, cells in (("mine", (FULL, BARE)), ("yours", (FULL, FROZEN))):  # each goes on in its own
        tell(server, tmp_path / store, "demo", cells)
    assert {name: run["id"] for name, run in shown(client, "demo").items()} == {
        name: run["id"] for name, run in before.items()
    }
    assert len(client.search_experiments(filter_string="name LIKE 'demo%'")) == 2


def test_drivers_of_three_stores_that_start_at_once_have_three_studies(server, client, tmp_path) -> None:
    stores, ready = [tmp_path / name for name in "abc"], threading.Barrier(3)
    failed = []

    def drive(store: Path) -> None:
        try:
            tell(server, store, "race", (FULL, BARE), report=store.name, ended=ready.wait)
        except Exception as error:
            ready.abort()
            failed.append(error)

    threads = [threading.Thread(target=drive, args=(store,)) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    experiments = client.search_experiments(filter_string="name LIKE 'race%'")
    assert len(experiments) == 3
    reports = set()
    for experiment in experiments:
        runs = shown(client, experiment.name)
        parent = runs.pop(f"study {experiment.name}")
        assert parent["counts"]["cells/finished"] == 2
        assert {run["parent"] for run in runs.values()} == {parent["id"]}
        assert set(runs) == {FULL.name, BARE.name}
        reports.add(text(client, parent["id"], "report/report.html"))
    assert reports == {"a", "b", "c"}


def test_a_study_that_is_moved_stays_itself_and_one_that_is_copied_does_not(server, client, tmp_path) -> None:
    tell(server, tmp_path / "first", "moved", (FULL,))
    before = shown(client, "moved")
    shutil.move(tmp_path / "first", tmp_path / "second")
    tell(server, tmp_path / "second", "moved", (FULL,))
    assert {name: run["id"] for name, run in shown(client, "moved").items()} == {
        name: run["id"] for name, run in before.items()
    }
    shutil.copytree(tmp_path / "second", tmp_path / "copy")
    tell(server, tmp_path / "copy", "moved", (BARE,))
    assert set(shown(client, "moved")) == set(before)
    assert set(shown(client, second_name(client, "moved"))) >= {BARE.name}
    (tmp_path / "link").symlink_to(tmp_path / "second")
    tell(server, tmp_path / "link", "moved", (FULL,))
    assert len(client.search_experiments(filter_string="name LIKE 'moved%'")) == 2


def make_old(client, store: Path, name: str, cells) -> None:
    """Have study and runs be as a version left them that wrote no ids."""
    (store / "studies" / name / "identity.json").unlink()
    experiment = client.get_experiment_by_name(name)
    client.delete_experiment_tag(experiment.experiment_id, "scmmlab.study")
    for run in client.search_runs([experiment.experiment_id]):
        client.delete_tag(run.info.run_id, "scmmlab.study")
    for cell in cells:
        ResultStore(store).put_cell(cell.key, record(cell))


def test_runs_that_bear_no_id_are_taken_up_by_the_store_that_has_their_cells_alone(server, client, tmp_path) -> None:
    tell(server, tmp_path / "old", "early", (FULL, BARE))
    make_old(client, tmp_path / "old", "early", (FULL, BARE))
    before = shown(client, "early")
    # one that is new, and one that is old and has other cells
    tell(server, tmp_path / "new", "early", (FULL,))
    folder = tmp_path / "other" / "studies" / "early"
    folder.mkdir(parents=True)
    (folder / "plan.json").write_text("{}")
    ResultStore(tmp_path / "other").put_cell(FULL.key, record(FULL))
    tell(server, tmp_path / "other", "early", (FULL,))
    assert shown(client, "early") == before
    tell(server, tmp_path / "old", "early", (FULL, BARE))
    assert {name: run["id"] for name, run in shown(client, "early").items()} == {
        name: run["id"] for name, run in before.items()
    }
    assert len(client.search_experiments(filter_string="name LIKE 'early%'")) == 3


def test_an_experiment_that_was_made_beforehand_is_used(server, client, tmp_path) -> None:
    made = client.create_experiment("prepared")
    tell(server, tmp_path / "runs", "prepared", (FULL,))
    assert client.get_experiment_by_name("prepared").experiment_id == made
    assert set(shown(client, "prepared")) == {"study prepared", FULL.name}


def test_a_parent_that_was_deleted_is_made_again_and_every_cell_belongs_to_the_new_one(
    server, client, tmp_path
) -> None:
    tell(server, tmp_path / "runs", "orphans", (FULL, BARE))
    for cells in ((FULL, BARE), (FULL,)):  # BARE is no longer in the plan the second time
        before = shown(client, "orphans")
        client.delete_run(before["study orphans"]["id"])
        tell(server, tmp_path / "runs", "orphans", cells)
        after = shown(client, "orphans")
        parent = after.pop("study orphans")
        assert parent["id"] != before["study orphans"]["id"]
        assert {run["parent"] for run in after.values()} == {parent["id"]}
        assert {run["id"] for run in after.values()} == {before[name]["id"] for name in after}


def test_a_parent_that_is_deleted_while_the_study_runs_is_made_again(server, client, tmp_path) -> None:
    store = ResultStore(tmp_path / "runs")
    tracker, _ = open_tracker(server.uri, store, "meanwhile", to_stderr)
    tracker.start_study("meanwhile", SPEC, "", VERSIONS)
    tracker.finish_cell(FULL, INPUTS, record(FULL))
    until_finished(client, "meanwhile", FULL)
    deleted = shown(client, "meanwhile")["study meanwhile"]["id"]
    client.delete_run(deleted)
    tracker.progress(1, 0, 2)
    tracker.finish_cell(BARE, INPUTS, record(BARE))
    tracker.progress(2, 0, 2)
    tracker.finish_study(None, complete=True)
    tracker.close()
    assert tracker.dropped == 0
    runs = shown(client, "meanwhile")
    parent = runs.pop("study meanwhile")
    assert parent["id"] != deleted
    assert parent["status"] == "FINISHED"
    assert parent["counts"] == {"cells/finished": 2, "cells/failed": 0, "cells/total": 2}
    assert {name: run["parent"] for name, run in runs.items()} == dict.fromkeys((FULL.name, BARE.name), parent["id"])


def until_finished(client, name: str, cell) -> None:
    import time

    deadline = time.monotonic() + 120
    while True:
        experiment = client.get_experiment_by_name(name)
        runs = shown(client, name) if experiment else {}
        if runs.get(cell.name, {}).get("status") == "FINISHED":
            return
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_deleted_experiment_comes_back_with_the_studys_own_runs_alone(server, client, tmp_path) -> None:
    tell(server, tmp_path / "runs", "back", (FULL, FROZEN, BARE))
    experiment_id = client.get_experiment_by_name("back").experiment_id
    own = shown(client, "back")
    client.delete_run(own[BARE.name]["id"])  # a person does, and the cell is no longer in the plan
    tell(server, tmp_path / "runs", "back", (FULL, FROZEN))
    client.create_run(experiment_id, run_name="by hand")
    client.delete_run(own[FROZEN.name]["id"])  # a person does, and the cell gets a new run
    tell(server, tmp_path / "runs", "back", (FULL, FROZEN))
    kept = shown(client, "back")
    client.delete_experiment(experiment_id)
    tell(server, tmp_path / "runs", "back", (FULL, FROZEN))
    assert client.get_experiment(experiment_id).lifecycle_stage == "active"
    after = shown(client, "back")
    assert {name: run["id"] for name, run in after.items()} == {
        name: run["id"] for name, run in kept.items() if name != "by hand"
    }
    deleted = client.search_runs([experiment_id], run_view_type=2)
    assert {run.info.run_id for run in deleted} == {
        own[BARE.name]["id"],
        own[FROZEN.name]["id"],
        kept["by hand"]["id"],
    }


def test_a_strangers_deleted_experiment_stays_deleted(server, client, tmp_path) -> None:
    tell(server, tmp_path / "theirs", "gone", (FULL,))
    client.delete_experiment(client.get_experiment_by_name("gone").experiment_id)
    tell(server, tmp_path / "mine", "gone", (FULL,))
    assert client.get_experiment_by_name("gone").lifecycle_stage == "deleted"
    assert set(shown(client, second_name(client, "gone"))) >= {FULL.name}
