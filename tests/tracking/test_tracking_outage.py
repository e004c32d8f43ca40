"""A real MLflow server that is away in the middle of a run, or while the run is killed, lacks nothing in the end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from mlflow_server import MlflowServer
from tracker_conformance import FULL, INPUTS, SPEC, VERSIONS, record

from scmmlab.tracking import MlflowTracker

pytestmark = pytest.mark.slow

CELLS = [replace(FULL, variant=f"v{number}", key=f"k{number}", pretrain_key=f"p{number}") for number in range(9)]
EPOCHS = 20


@pytest.fixture
def server(tmp_path):
    server = MlflowServer(tmp_path, f"sqlite:///{tmp_path / 'mlflow.db'}")
    with server:
        yield server


def tell_cell(tracker, cell):
    tracker.start_cell(cell, INPUTS)
    for epoch in range(1, EPOCHS + 1):
        tracker.epoch(cell.pretrain_key, "pretrain", epoch, {"loss": 1.0 / epoch})
    for epoch in range(1, EPOCHS + 1):
        tracker.epoch(cell.key, "finetune", epoch, {"loss": 2.0 / epoch, "train_accuracy": 0.5})
    tracker.finish_cell(cell, INPUTS, record(cell, EPOCHS))


def shown(server):
    """Name → (run ID, status, metrics, epochs of each loss as often as they are there)."""
    from mlflow.tracking import MlflowClient

    client = MlflowClient(server.uri)
    found = client.search_runs([client.get_experiment_by_name("small").experiment_id])
    names = [run.info.run_name for run in found]
    assert len(set(names)) == len(names), "a run is there twice"
    return {
        run.info.run_name: (
            run.info.run_id,
            run.info.status,
            run.data.metrics,
            {
                name: sorted(point.step for point in client.get_metric_history(run.info.run_id, name))
                for name in run.data.metrics
                if name.endswith("/loss")
            },
        )
        for run in found
    }


def assert_all_is_shown(runs, cells):
    every = list(range(1, EPOCHS + 1))
    assert set(runs) == {"study small", *(cell.name for cell in cells)}
    for cell in cells:
        _, status, metrics, epochs = runs[cell.name]
        assert status == "FINISHED"
        assert metrics["test/accuracy"] == 0.625
        assert epochs == {"pretrain/loss": every, "finetune/loss": every}


def until(condition, what):
    deadline = time.monotonic() + 240
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def test_a_server_that_is_away_for_the_middle_third_of_a_run_lacks_nothing(tmp_path, server):
    spool = tmp_path / "spool.jsonl"
    tracker = MlflowTracker(server.uri, spool=spool)
    tracker.start_study("small", SPEC, "the plan", VERSIONS)
    for cell in CELLS[:3]:
        tell_cell(tracker, cell)
    until(lambda: all(_finished(server, cell) for cell in CELLS[:3]), "the first third is not shown")
    before = {name: run_id for name, (run_id, *_) in shown(server).items()}
    server.stop()
    for cell in CELLS[3:6]:
        begun = time.monotonic()
        tell_cell(tracker, cell)
        assert time.monotonic() - begun < 1.0, "training waited for MLflow"
    until(lambda: tracker.errors > 0, "nobody noticed that the server is away")
    until(lambda: b'"k5"' in spool.read_bytes(), "what was told meanwhile is not on disk")
    server.start()
    for cell in CELLS[6:]:
        tell_cell(tracker, cell)
    tracker.finish_study(None, complete=True)
    tracker.close()
    assert tracker.left_out == 0
    assert not spool.exists()
    runs = shown(server)
    assert_all_is_shown(runs, CELLS)
    assert runs["study small"][1] == "FINISHED"
    assert {name: runs[name][0] for name in before} == before


KILLED = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from test_tracking_outage import CELLS, INPUTS, SPEC, VERSIONS, MlflowTracker, tell_cell
tracker = MlflowTracker(sys.argv[1], spool=Path(sys.argv[2]))
tracker.start_study("small", SPEC, "the plan", VERSIONS)
tell_cell(tracker, CELLS[0])
print("first", flush=True)
sys.stdin.readline()
tell_cell(tracker, CELLS[1])
tracker.start_cell(CELLS[2], INPUTS)
for epoch in range(1, 11):
    tracker.epoch("k2", "finetune", epoch, {"loss": 2.0 / epoch, "train_accuracy": 0.5})
print("second", flush=True)
time.sleep(600)
"""


def test_what_a_run_told_before_it_was_killed_is_shown_by_the_next(tmp_path, server):
    spool = tmp_path / "spool.jsonl"
    command = [sys.executable, "-c", KILLED, server.uri, str(spool), str(Path(__file__).parent)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as run:
        assert run.stdout.readline() == b"first\n"
        until(lambda: _finished(server, CELLS[0]), "the first cell is not shown")
        before = shown(server)[CELLS[0].name][0]
        server.stop()
        run.stdin.write(b"\n")
        run.stdin.flush()
        assert run.stdout.readline() == b"second\n"
        until(lambda: b'"epoch":10,' in spool.read_bytes().partition(b'"k2"')[2], "the last epochs are not on disk")
        os.kill(run.pid, signal.SIGKILL)
    server.start()
    # the next run is told nothing of the first two cells, and goes on with the third: what it shows of them was kept
    with MlflowTracker(server.uri, spool=spool) as tracker:
        tracker.start_study("small", SPEC, "the plan", VERSIONS)
        tracker.start_cell(CELLS[2], INPUTS)
        for epoch in range(8, EPOCHS + 1):
            tracker.epoch("k2", "finetune", epoch, {"loss": 2.0 / epoch, "train_accuracy": 0.5})
        tracker.finish_cell(CELLS[2], INPUTS, record(CELLS[2], EPOCHS))
        tracker.finish_study(None, complete=True)
    assert not spool.exists()
    runs = shown(server)
    assert_all_is_shown(runs, CELLS[:3])
    assert runs[CELLS[0].name][0] == before


def _finished(server, cell):
    from mlflow.tracking import MlflowClient

    client = MlflowClient(server.uri)
    experiment = client.get_experiment_by_name("small")
    runs = client.search_runs([experiment.experiment_id]) if experiment else []
    return any(run.info.run_name == cell.name and run.info.status == "FINISHED" for run in runs)
