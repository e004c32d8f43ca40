"""Methods that run on the CPU alone never hold up a GPU worker, on a Ray whose GPU is there by name alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from comparing import csv, local_engine, objects, run
from mixed_devices import study_of_both
from tiny_study import plan_of

from scmmlab.study import ResultStore

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("devices")


@pytest.fixture(scope="module")
def told(folder):
    """What happened, from a program of its own: the Ray of the other tests has no GPU, not even by name."""
    names = (folder / name for name in ("tables", "asked", "beside", "after", "told.json"))
    arguments = ", ".join(f"Path({str(path)!r})" for path in names)
    ended = subprocess.run(
        [sys.executable, "-c", f"from pathlib import Path; from mixed_devices import main; main({arguments})"],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stderr
    return json.loads((folder / "told.json").read_text())


@pytest.mark.timeout(900)
def test_gpu_worker_and_cpu_worker_are_at_work_at_the_same_time_each_at_its_own_tasks(told):
    asked = told["asked"]
    assert (asked["separate"], asked["device"], asked["workers"]) == (True, "cuda", [2, 1, 1])
    found = {key: (record["device"], len(record["gpus"])) for key, record in asked["both"].items()}
    assert found == {"scmm": ("cuda", 1), "svm": ("cpu", 0), "knn": ("cpu", 0)}


@pytest.mark.timeout(900)
def test_task_of_a_cpu_worker_that_dies_goes_to_a_cpu_worker_and_the_loss_is_counted(told):
    asked = told["asked"]
    assert (asked["killed"]["killed"]["device"], asked["killed"]["killed"]["gpus"]) == ("cpu", [])
    assert asked["losses"] == ["crash"]
    assert asked["lost"] == [["killed"]]


@pytest.mark.timeout(900)
def test_cpu_workers_leave_their_cpus_when_they_have_nothing_left_and_gpu_workers_go_on(told):
    workers, losses = told["asked"]["left"]
    assert workers == 1
    assert "1 crashed" in losses, "those that were let go are not lost"
    later = told["asked"]["later"]["later"]
    assert (later["device"], len(later["gpus"])) == ("cuda", 1)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("which", ["beside", "after"])
def test_study_of_both_kinds_is_placed_by_its_methods_and_gives_the_results_of_the_local_engine(
    folder, told, tmp_path, which
):
    """Beside the GPU worker, or after it, where that has the only CPU that is free."""
    seen = told[which]
    assert seen["complete"]
    assert (seen["others"], seen["of_cpu"]) == (["GPU worker"], ["CPU worker"])
    held = {noun: resources for noun, resources, _ in seen["made"]}
    assert held == {"GPU worker": {"CPU": 1, "GPU": 1}, "CPU worker": {"CPU": 1}}
    if which == "after":
        (waits,) = seen["waits"]
        assert waits.startswith("There is no CPU worker yet (1 worker with 1 CPU need 1 CPU, 0 of 2 free): its tasks")
    assert not seen["losses"]

    plan = plan_of(study_of_both(folder / "tables"))
    alone, store = ResultStore(tmp_path), ResultStore(folder / which)
    assert run(plan, alone, local_engine(plan)).complete
    assert csv(plan, store) == csv(plan, alone)
    assert objects(store) == objects(alone)
