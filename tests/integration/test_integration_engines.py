"""The Ray engine gives the numbers of the local one, whatever fails or dies."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time

import psutil
import pytest
from comparing import csv, local_engine, objects, pids_of_workers, ray_engine, run
from tiny_study import BASE, ablation, ablation_with_a_failure, plan_of, sweep

from scmmlab.errors import ResourceError
from scmmlab.execution.events import TaskLost, TaskStarted
from scmmlab.execution.sweep_records import SweepRecords
from scmmlab.study import ResultStore, study_status
from scmmlab.tracking import MemoryTracker, Tracker

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("tables")


@pytest.fixture(scope="module")
def reference(folder, tmp_path_factory):
    """A study as the local engine runs it."""
    plan, store = plan_of(ablation(folder)), ResultStore(tmp_path_factory.mktemp("local"))
    tracker = MemoryTracker()
    assert run(plan, store, local_engine(plan), tracker).complete
    return plan, store, tracker


@pytest.mark.usefixtures("ray_of_two_cpus")
def test_both_engines_give_the_same_bytes_and_a_second_run_runs_nothing(reference, tmp_path):
    plan, local_store, local_tracker = reference
    store, tracker = ResultStore(tmp_path), MemoryTracker()
    summary = run(plan, store, ray_engine(plan), tracker)
    assert (summary.finished, summary.ran, summary.failures) == (8, 8, ())
    assert csv(plan, store) == csv(plan, local_store)
    assert objects(store) == objects(local_store)
    assert tracker.records == local_tracker.records
    assert tracker.epochs == local_tracker.epochs

    engine = ray_engine(plan)
    assert run(plan, store, engine).ran == 0
    assert engine.logs is None, "the engine was not even entered"


@pytest.mark.usefixtures("ray_of_two_cpus")
def test_cell_that_fails_is_recorded_and_the_others_go_on(tmp_path):
    plan, store = plan_of(ablation_with_a_failure(tmp_path)), ResultStore(tmp_path / "store")
    summary = run(plan, store, ray_engine(plan))
    assert summary.finished == 2
    assert [failure.split(" · ")[0] for failure in summary.failures] == ["unscaled", "unscaled_frozen"]
    errors = {status.failure.error for status in study_status(plan, store).cells if status.failure}
    assert len(errors) == 1
    assert "diverged in epoch 1" in errors.pop()


class KillingTracker(Tracker):
    """Kills a worker of the gang when a training has got to some epoch."""

    def __init__(self, epoch: int):
        self._epoch = epoch
        self.killed = False

    def epoch(self, key, stage, epoch, metrics):
        if stage == "pretrain" and epoch >= self._epoch and not self.killed:
            self.killed = True
            workers = pids_of_workers()
            assert len(workers) == 2
            os.kill(workers[0], signal.SIGKILL)


@pytest.mark.usefixtures("ray_of_two_cpus")
def test_worker_that_is_killed_changes_no_result(folder, tmp_path):
    base = {"pretrain.epochs": 60}
    variants = {"full": {"set": base}, "no_contrast": {"set": base | {"contrast.enabled": False}}}
    study = ablation(folder, variants=variants, seeds=[0, 1], resources={"checkpoint_every": 2, "pack_size": 1})
    plan, local_store, store = plan_of(study), ResultStore(tmp_path / "local"), ResultStore(tmp_path / "ray")
    run(plan, local_store, local_engine(plan))

    heard = []
    engine = ray_engine(plan, checkpoint_s=0.0)
    step = engine.step
    engine.step = lambda emit, timeout_s: step(lambda event: (heard.append(event), emit(event)), timeout_s)
    tracker = KillingTracker(epoch=20)
    summary = run(plan, store, engine, tracker)

    assert tracker.killed
    assert summary.complete
    assert csv(plan, store) == csv(plan, local_store)
    assert objects(store) == objects(local_store)
    lost = [event for event in heard if isinstance(event, TaskLost)]
    started = [event for event in heard if isinstance(event, TaskStarted)]
    assert len(lost) == 1, "the other worker was left at its work"
    assert sorted(event.attempt for event in started if event.task_id == lost[0].task_id) == [1, 2]


@pytest.mark.usefixtures("ray_of_two_cpus")
def test_study_that_asks_for_too_much_is_refused_at_once_with_the_resource_named(folder, tmp_path):
    plan = plan_of(ablation(folder, resources={"gpus_per_worker": 1}))
    begun = time.monotonic()
    with pytest.raises(ResourceError, match="The cluster lacks GPU for 1 worker with 1 CPU and 1 GPU"):
        run(plan, ResultStore(tmp_path), ray_engine(plan))
    assert time.monotonic() - begun < 10


@pytest.mark.usefixtures("ray_of_two_cpus")
def test_two_workers_a_cell_give_the_encoders_of_one(folder, reference, tmp_path):
    _, local_store, _ = reference
    plan = plan_of(ablation(folder, resources={"workers_per_cell": 2}))
    store = ResultStore(tmp_path)
    assert run(plan, store, ray_engine(plan)).complete
    for key in plan.pretraining:
        together, alone = store.get_pretrain(key), local_store.get_pretrain(key)
        assert together.tensors.keys() == alone.tensors.keys()
        for name, tensor in alone.tensors.items():
            assert together.tensors[name] == pytest.approx(tensor, rel=1e-4, abs=1e-5), name
    assert [cell.key for cell in plan.cells] == [cell.key for cell in reference[0].cells], "resources are in no key"


def test_local_engine_imports_no_ray(folder, tmp_path):
    program = f"""
import sys
sys.path.insert(0, {os.path.dirname(sys.modules["tiny_study"].__file__)!r})
from pathlib import Path
from tiny_study import ablation, plan_of, sweep
from scmmlab.execution.engines import run_study
from scmmlab.study import ResultStore
store = ResultStore({str(tmp_path)!r})
for study in (ablation(Path({str(folder)!r}), seeds=[0]), sweep(Path({str(folder)!r}), tune_trials=1)):
    assert run_study(plan_of(study), store, "local").complete
assert "ray" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)


PROGRAM = """
import sys
from pathlib import Path
from test_integration_engines import long_study, long_sweep
from tiny_study import plan_of
from scmmlab.execution.engines import run_study
from scmmlab.study import ResultStore
study = {study}(Path({folder!r}))
try:
    run_study(plan_of(study), ResultStore({store!r}), "ray")
except KeyboardInterrupt:
    sys.exit(130)
"""


def long_study(folder):
    long = {"pretrain.epochs": 150}
    variants = {"full": {"set": long}, "no_contrast": {"set": long | {"contrast.enabled": False}}}
    return ablation(folder, variants=variants, seeds=[0, 1], resources={"pack_size": 1, "checkpoint_every": 5})


def long_sweep(folder):
    base = {**BASE, "pretrain": {"epochs": 400, "batch_size": 32}}
    return sweep(folder, base=base, report_every=5, asha=None, tune_trials=4)


def interrupt(study: str, folder, store, number: int, when: str) -> None:
    """Run a program with a Ray of its own, and send it a signal when its progress line says `when`."""
    tests, others = os.path.dirname(__file__), os.path.dirname(sys.modules["tiny_study"].__file__)
    program = PROGRAM.format(study=study, folder=str(folder), store=str(store))
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([tests, others])}
    process = subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.PIPE, text=True, env=environment)
    children: list[psutil.Process] = []
    try:
        for line in process.stderr:
            if re.search(when, line):
                break
        children = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(number)
        _, errors = process.communicate(timeout=90)
        assert process.returncode == 130, errors
    finally:
        process.kill()
    _, alive = psutil.wait_procs(children, timeout=20)
    assert not alive, "Ray's processes have gone with the program"


@pytest.mark.parametrize(
    ("number", "when"),
    [(signal.SIGINT, "starting"), (signal.SIGTERM, "[1-9] running")],
)
def test_interrupted_program_stops_in_order_and_goes_on(folder, tmp_path, number, when):
    """As Ctrl-C and a scheduler's stop do."""
    interrupt("long_study", folder, tmp_path / "ray", number, when)
    plan, store, alone = plan_of(long_study(folder)), ResultStore(tmp_path / "ray"), ResultStore(tmp_path / "alone")
    assert not study_status(plan, store).complete
    assert run(plan, store, local_engine(plan)).complete
    assert run(plan, alone, local_engine(plan)).complete
    assert csv(plan, store) == csv(plan, alone)


def test_interrupted_sweep_stops_in_order(folder, tmp_path):
    interrupt("long_sweep", folder, tmp_path, signal.SIGINT, "[1-9] running")
    ended = SweepRecords(plan_of(long_sweep(folder)), ResultStore(tmp_path)).ended
    assert all(trial.state != "failed" for trial in ended.values()), "what was abandoned has no record"
