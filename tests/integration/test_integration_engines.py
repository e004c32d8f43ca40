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
from comparing import csv, events_of_engine, local_engine, objects, pids_of_workers, ray_engine, run
from engine_conformance import EngineConformance
from tiny_study import BASE, ablation, plan_of, sweep

from scmmlab.errors import ResourceError
from scmmlab.execution.events import TaskLost, TaskStarted
from scmmlab.execution.ray.engine import RayEngine
from scmmlab.execution.sweep.records import SweepRecords
from scmmlab.study import ResultStore, study_status
from scmmlab.tracking import Tracker

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("tables")


@pytest.fixture(scope="module")
def reference(folder, tmp_path_factory):
    """A study as the local engine runs it."""
    plan, store = plan_of(ablation(folder)), ResultStore(tmp_path_factory.mktemp("local"))
    assert run(plan, store, local_engine(plan)).complete
    return plan, store


@pytest.mark.usefixtures("ray_of_two_cpus")
class TestRayEngineConformance(EngineConformance):
    def make_engine(self, resources, tables):
        return RayEngine(resources, tables, checkpoint_s=0.0)

    def held(self):
        return {title: pids_of_workers(f"ray::{title}") for title in ("Broker", "TrainController", "RayTrainWorker")}


class KillingTracker(Tracker):
    """Kills a worker when a training has got to some epoch."""

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

    engine = ray_engine(plan, checkpoint_s=0.0)
    events = events_of_engine(engine)
    tracker = KillingTracker(epoch=20)
    summary = run(plan, store, engine, tracker)

    assert tracker.killed
    assert summary.complete
    assert csv(plan, store) == csv(plan, local_store)
    assert objects(store) == objects(local_store)
    lost = [event for event in events if isinstance(event, TaskLost)]
    started = [event for event in events if isinstance(event, TaskStarted)]
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
    its_plan, local_store = reference
    variants = {"full": {}, "no_contrast": {"set": {"contrast.enabled": False}}}
    plan = plan_of(ablation(folder, variants=variants, seeds=[0], resources={"workers_per_cell": 2}))
    store = ResultStore(tmp_path)
    assert run(plan, store, ray_engine(plan)).complete
    for key in plan.pretraining:
        together, alone = store.get_pretrain(key), local_store.get_pretrain(key)
        assert together.tensors.keys() == alone.tensors.keys()
        for name, tensor in alone.tensors.items():
            assert together.tensors[name] == pytest.approx(tensor, rel=1e-4, abs=1e-5), name
    assert set(plan.distinct) < set(its_plan.distinct), "resources are in no key"


# as a notebook's cell: an event loop is running
PROGRAM = """
import asyncio
import sys
from pathlib import Path
import scmmlab
from test_integration_engines import long_study, long_sweep
async def cell():
    study = scmmlab.open_study({study}(Path({folder!r})), {store!r})
    study.run("ray", tracking_uri="none", report=False)
try:
    asyncio.run(cell())
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
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([tests, others, *sys.path])}
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


def test_interrupted_program_stops_in_order_while_it_starts(folder, tmp_path):
    interrupt("long_study", folder, tmp_path, signal.SIGINT, "starting")
    assert not study_status(plan_of(long_study(folder)), ResultStore(tmp_path)).complete


def test_interrupted_sweep_stops_in_order(folder, tmp_path):
    interrupt("long_sweep", folder, tmp_path, signal.SIGINT, "[1-9] running")
    ended = SweepRecords(plan_of(long_sweep(folder)), ResultStore(tmp_path)).ended
    assert all(trial.state != "failed" for trial in ended.values()), "what was abandoned has no record"
