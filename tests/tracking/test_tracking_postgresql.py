"""A real MLflow server on a real PostgreSQL takes hundreds of runs from four processes at once."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
from mlflow_server import MlflowServer
from postgresql_server import PostgresqlServer, postgresql_programs

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

PROCESSES, CELLS, EPOCHS = 4, 75, 5

STUDY = """
import sys
from dataclasses import replace
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from tracker_conformance import FULL, INPUTS, SPEC, VERSIONS, record
from scmmlab.tracking import MlflowTracker
name, cells, epochs = sys.argv[2], int(sys.argv[4]), int(sys.argv[5])
tracker = MlflowTracker(sys.argv[1], longest_close_s=1500)
tracker.start_study(name, {**SPEC, "name": name}, "the plan", VERSIONS)
for number in range(cells):
    cell = replace(FULL, variant=f"v{number}", key=f"{name}-{number}", pretrain_key=None)
    tracker.start_cell(cell, INPUTS)
    for epoch in range(1, epochs + 1):
        tracker.epoch(cell.key, "finetune", epoch, {"loss": 2.0 / epoch, "train_accuracy": 0.5})
    tracker.finish_cell(cell, INPUTS, record(cell, epochs))
tracker.progress(cells, 0, cells)
tracker.finish_study(None, complete=True)
tracker.close()
assert tracker.dropped == 0
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    programs = postgresql_programs()
    if programs is None:
        pytest.skip("PostgreSQL is not here and cannot be fetched (apt-get install postgresql): nothing is known of it")
    folder = tmp_path_factory.mktemp("mlflow")
    with PostgresqlServer(programs) as database, MlflowServer(folder, database.uri) as server:
        yield server


def test_four_processes_write_hundreds_of_runs_and_none_is_lost_or_doubled(server, record_property):
    begun = time.monotonic()
    here = str(Path(__file__).parent)
    studies = [f"study-{number}" for number in range(PROCESSES)]
    running = [
        subprocess.Popen([*(sys.executable, "-c", STUDY, server.uri, name, here), str(CELLS), str(EPOCHS)])
        for name in studies
    ]
    assert [process.wait() for process in running] == [0] * PROCESSES
    seconds = time.monotonic() - begun
    record_property("seconds", seconds)
    print(f"{PROCESSES * CELLS} runs in {seconds:.0f} s")

    from mlflow.tracking import MlflowClient

    client = MlflowClient(server.uri)
    for name in studies:
        experiment = client.get_experiment_by_name(name)
        runs = client.search_runs([experiment.experiment_id], max_results=1000)
        assert len(runs) == CELLS + 1
        cells = {run.info.run_name: run for run in runs if run.data.tags["scmmlab.role"] == "cell"}
        assert set(cells) == {f"v{number} · a-to-b · 0" for number in range(CELLS)}
        assert {run.info.status for run in runs} == {"FINISHED"}
        for run in cells.values():
            assert run.data.metrics["finetune/loss"] == 2.0 / EPOCHS
            assert run.data.metrics["test/accuracy"] == 0.625
            assert run.data.params["masking.ratio"] == "0.5"
        for cell in list(cells.values())[:: CELLS // 5]:
            history = client.get_metric_history(cell.info.run_id, "finetune/loss")
            assert sorted(point.step for point in history) == list(range(1, EPOCHS + 1))
