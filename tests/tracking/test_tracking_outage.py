"""A real MLflow server that is away in the middle of a run lacks nothing in the end."""

from __future__ import annotations

import time
from dataclasses import replace

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
    tracker = MlflowTracker(server.uri)
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
    server.start()
    for cell in CELLS[6:]:
        tell_cell(tracker, cell)
    tracker.finish_study(None, complete=True)
    tracker.close()
    assert tracker.dropped == 0
    runs = shown(server)
    assert_all_is_shown(runs, CELLS)
    assert runs["study small"][1] == "FINISHED"
    assert {name: runs[name][0] for name in before} == before


def _finished(server, cell):
    from mlflow.tracking import MlflowClient

    client = MlflowClient(server.uri)
    experiment = client.get_experiment_by_name("small")
    runs = client.search_runs([experiment.experiment_id]) if experiment else []
    return any(run.info.run_name == cell.name and run.info.status == "FINISHED" for run in runs)
