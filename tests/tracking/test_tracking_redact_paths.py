"""A study's own MLflow database works wherever its store lies, whatever that is called, and after it was moved."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import time
import urllib.request
from pathlib import Path
from urllib.parse import quote

import pytest
from mlflow_server import free_port
from tracker_conformance import BARE, FULL, INPUTS, SPEC, VERSIONS, record

from scmmlab.api.recording import check_tracking_uri, find_artifacts, open_tracker
from scmmlab.cli.options import to_stderr
from scmmlab.errors import SpecError
from scmmlab.study import ResultStore
from scmmlab.tracking import default_tracking_uri, ui_command
from scmmlab.tracking.mounts import sqlite_file, sqlite_uri
from scmmlab.tracking.ui import MLFLOW_ENVIRONMENT

pytestmark = pytest.mark.slow

NAMES = ("what?", "x?uri=true", "50%20%3Fx", "c#d", "a&b=c", "späße, 脑", "at@host:1", "quote'\"", "back\\slash")


def tell(store: Path, *cells) -> None:
    tracker, _ = open_tracker(None, ResultStore(store), "small", to_stderr, direct=True)
    with tracker:
        tracker.start_study("small", SPEC, f"the plan of {store.name}", VERSIONS)
        for cell in cells:
            tracker.finish_cell(cell, INPUTS, record(cell))
        tracker.finish_study(None, complete=True)


def new_store(empty_database: Path, store: Path) -> Path:
    """The folder of the study in a new store, with a database in it: MLflow takes seconds to make one."""
    folder = store / "studies" / "small"
    folder.mkdir(parents=True)
    shutil.copy(empty_database, folder / "mlflow.db")
    return folder


def runs_of(folder: Path) -> dict[str, str]:
    from mlflow.tracking import MlflowClient

    client = MlflowClient(default_tracking_uri(folder))
    found = client.search_runs([client.get_experiment_by_name("small").experiment_id])
    return {run.info.run_name: run.info.run_id for run in found}


def files_of(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", NAMES)
def test_any_name_may_stand_in_the_path_of_a_store(name, empty_database, tmp_path) -> None:
    folder = new_store(empty_database, tmp_path / name / "runs")
    tell(tmp_path / name / "runs", FULL)
    runs = runs_of(folder)
    assert set(runs) == {"study small", FULL.name}
    assert sqlite_file(sqlite_uri(folder / "mlflow.db")) == folder / "mlflow.db"
    of_mlflow = files_of(folder) - {folder / "identity.json"}
    assert of_mlflow == {
        folder / "mlflow.db",
        folder / "mlflow-artifacts" / runs["study small"] / "artifacts" / "plan.txt",
        folder / "mlflow-artifacts" / runs["study small"] / "artifacts" / "study.json",
        folder / "mlflow-artifacts" / runs[FULL.name] / "artifacts" / "folds.csv",
        folder / "mlflow-artifacts" / runs[FULL.name] / "artifacts" / "confusion.json",
    }
    assert {path.relative_to(tmp_path).parts[0] for path in files_of(tmp_path)} == {name}


def test_a_question_mark_in_a_database_that_is_named_is_refused_with_what_to_write() -> None:
    with pytest.raises(SpecError) as raised:
        check_tracking_uri("sqlite:////data/what?/mlflow.db")
    assert "sqlite:////data/what%3F/mlflow.db" in raised.value.hint
    check_tracking_uri("sqlite:////data/what%3F/mlflow.db")
    check_tracking_uri("sqlite:////data/mlflow.db?timeout=60")


def test_the_ui_opens_the_artifacts_of_a_store_that_was_moved(empty_database, tmp_path) -> None:
    new_store(empty_database, tmp_path / "before" / "runs")
    tell(tmp_path / "before" / "runs", FULL)
    moved = tmp_path / "to 50%20 what? #1 ümlaut" / "runs"
    moved.parent.mkdir()
    shutil.move(tmp_path / "before" / "runs", moved)
    folder = moved / "studies" / "small"
    find_artifacts(default_tracking_uri(folder), to_stderr)  # as `scmmlab ui` does
    port = free_port()
    log = (tmp_path / "log").open("wb")
    ui = subprocess.Popen(
        ui_command(default_tracking_uri(folder), port),
        env={**os.environ, **MLFLOW_ENVIRONMENT},
        stdout=log,
        stderr=log,
        start_new_session=True,
    )

    def get(path: str) -> bytes:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=60) as answer:
            return bytes(answer.read())

    try:
        deadline = time.monotonic() + 240
        while True:
            assert ui.poll() is None, (tmp_path / "log").read_text()
            try:
                get("/health")
                break
            except OSError:
                assert time.monotonic() < deadline
                time.sleep(0.2)

        def opened(run_id: str) -> dict[str, bytes]:
            """What the page of a run lists among its artifacts, and opens."""
            listed = json.loads(get(f"/ajax-api/2.0/mlflow/artifacts/list?run_id={run_id}"))
            paths = [file["path"] for file in listed.get("files", ()) if not file["is_dir"]]
            return {path: get(f"/get-artifact?path={quote(path)}&run_uuid={run_id}") for path in paths}

        runs = runs_of(folder)
        assert opened(runs["study small"])["plan.txt"] == b"the plan of runs"
        assert opened(runs[FULL.name]).keys() == {"folds.csv", "confusion.json"}
        tell(moved, FULL, BARE)
        assert opened(runs_of(folder)[BARE.name]).keys() == {"folds.csv", "confusion.json"}
    finally:
        os.killpg(ui.pid, signal.SIGKILL)
        ui.wait()
    assert not (tmp_path / "before").exists() or not files_of(tmp_path / "before")


def test_a_copied_store_goes_on_in_its_own_runs_and_leaves_the_original_alone(empty_database, tmp_path) -> None:
    original = new_store(empty_database, tmp_path / "original")
    tell(tmp_path / "original", FULL)
    runs = runs_of(original)
    shutil.copytree(tmp_path / "original", tmp_path / "copy")
    before = {path: path.read_bytes() for path in files_of(original)}
    tell(tmp_path / "copy", FULL, BARE)
    assert {path: path.read_bytes() for path in files_of(original)} == before
    copy = tmp_path / "copy" / "studies" / "small"
    after = runs_of(copy)
    assert {name: after[name] for name in runs} == runs
    plan = copy / "mlflow-artifacts" / runs["study small"] / "artifacts" / "plan.txt"
    assert plan.read_text() == "the plan of copy"
    assert (copy / "mlflow-artifacts" / after[BARE.name] / "artifacts" / "folds.csv").exists()


def test_where_nothing_was_moved_the_database_is_not_written(empty_database, tmp_path, capsys) -> None:
    folder = new_store(empty_database, tmp_path / "runs")
    tell(tmp_path / "runs", FULL)
    uri = default_tracking_uri(folder)
    with sqlite3.connect(folder / "mlflow.db", isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")  # nobody else can write
        find_artifacts(uri, to_stderr)
    assert capsys.readouterr().err == f"Recorded in MLflow: {uri}, experiment 'small', run 'study small'\n"


def test_a_run_whose_artifacts_are_elsewhere_on_purpose_is_left_as_it_is(empty_database, tmp_path) -> None:
    from mlflow.tracking import MlflowClient

    folder = new_store(empty_database, tmp_path / "runs")
    client = MlflowClient(default_tracking_uri(folder))
    made = client.create_experiment("of a person", artifact_location=(tmp_path / "elsewhere").as_uri())
    run = client.create_run(made)
    tell(tmp_path / "runs", FULL)
    shutil.move(tmp_path / "runs", tmp_path / "moved")
    find_artifacts(default_tracking_uri(tmp_path / "moved" / "studies" / "small"), to_stderr)
    client = MlflowClient(default_tracking_uri(tmp_path / "moved" / "studies" / "small"))
    assert client.get_experiment(made).artifact_location == (tmp_path / "elsewhere").as_uri()
    assert client.get_run(run.info.run_id).info.artifact_uri == run.info.artifact_uri
