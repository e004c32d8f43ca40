"""Sweeps on Ray: the search, its trials in Tune, and the workers."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import optuna
import psutil
import pytest
from comparing import local_engine, pids_of_workers, ray_engine
from tiny_study import BASE, plan_of, sweep

from scmmlab.config import AshaSpec
from scmmlab.execution.progress import Progress
from scmmlab.execution.sweep.run import SweepRun
from scmmlab.execution.sweep.rungs import RungDecision, Rungs
from scmmlab.study import ResultStore, is_complete, rows_csv, search_records, trial_rows
from scmmlab.tracking import MemoryTracker

pytestmark = pytest.mark.slow


def search(study, store, engine_of, tracker=None):
    plan, tracker = plan_of(study), tracker or MemoryTracker()
    summary = SweepRun(plan, store, engine_of(plan), tracker).run()
    return summary, tracker.tune_trials


def optuna_trials(store, name):
    """What the sweep's own storage has."""
    storage = f"sqlite:///{store.study_folder(name).local}/optuna.db"
    (study,) = optuna.get_all_study_names(storage)
    return optuna.load_study(study_name=study, storage=storage).trials


def states(trials):
    return [trial.state.name for trial in trials]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("tables")


def results(study, store):
    """What `scmmlab results` prints."""
    return rows_csv(trial_rows(study.name, search_records(plan_of(study), store)))


@pytest.mark.usefixtures("ray_of_two_cpus")
def test_every_run_of_a_sweep_samples_stops_and_chooses_the_same_on_ray_as_without(folder, tmp_path):
    """What was tried before decides what is sampled and stopped; how many workers there are, and their pace, do not."""
    space = {
        "masking.ratio": {"low": 0.1, "high": 0.9},
        "aggregator.top_k": {"choices": [2, 8, None]},
        "pretrain.batch_size": {"choices": [32, 4096]},  # more windows than the source has
    }
    points = [
        {"pretrain.batch_size": 4096},
        {"pretrain.batch_size": 32, "masking.ratio": 0.5, "aggregator.top_k": None},
    ]
    changes = {"space": space, "points": points, "tune_trials": 10, "concurrency": 4}
    found = {}
    for name, engine_of, resources in (
        ("local", local_engine, {}),
        ("two workers", ray_engine, {"workers": 2, "pack_size": 2}),
        ("one slot", ray_engine, {"workers": 1, "pack_size": 1}),
    ):
        study, store = sweep(folder, resources=resources, **changes), ResultStore(tmp_path / name)
        _, trials = search(study, store, engine_of)
        found[name] = trials, results(study, store)
    trials, _ = found["local"]
    assert found["two workers"] == found["one slot"] == found["local"]
    states = Counter(record.state for record in trials.values())
    assert states["pruned"] > 1
    assert states["complete"] > 1, "what cannot be trained is failed, and the others go on"
    assert trials[0].state == "failed"
    assert "4096" in trials[0].error
    assert all(0 <= probe <= 1 for record in trials.values() for _, probe in record.intermediate)


def test_rungs_decide_as_the_asha_of_ray_tune():
    from ray.tune.schedulers import ASHAScheduler

    rng = np.random.default_rng(0)
    for grace, factor, epochs in ((1, 2, 8), (2, 3, 27), (5, 3, 200), (4, 4, 10)):
        ours = Rungs(AshaSpec(grace_epochs=grace, reduction_factor=factor), epochs)
        theirs = ASHAScheduler(grace_period=grace, reduction_factor=factor, max_t=epochs, metric="probe", mode="max")
        (bracket,) = theirs._brackets
        for _ in range(300):
            number, epoch, value = int(rng.integers(40)), int(rng.integers(1, epochs)), float(rng.random())
            decision = bracket.on_result(SimpleNamespace(trial_id=str(number)), epoch, value)
            stops = ours.report(number, epoch, value) is RungDecision.STOP
            assert stops == (decision == "STOP")


class WatchTheStorage(MemoryTracker):
    """Who has Optuna's storage open while settings are being tried."""

    def __init__(self):
        super().__init__()
        self.seen, self.others = False, set()

    def progress(self, *arguments):
        super().progress(*arguments)
        driver = psutil.Process()
        self.seen |= has_open(driver, "optuna.db")
        # Ray's processes are the driver's
        self.others |= {child.name() for child in driver.children(recursive=True) if has_open(child, "optuna.db")}


def has_open(process, name):
    with suppress(psutil.NoSuchProcess):
        return any(Path(file.path).name == name for file in process.open_files())
    return False


@pytest.mark.usefixtures("ray_of_two_cpus")
def test_conditions_and_two_objectives_by_tune(folder, tmp_path):
    study = sweep(
        folder,
        name="two-objectives",
        space={
            "pretrain.epochs": {"low": 2, "high": 8, "type": "int"},
            "masking.mode": {"choices": ["none", "hybrid"]},
            "masking.ratio": {"low": 0.1, "high": 0.9, "when": {"masking.mode": "hybrid"}},
        },
        points=[{"pretrain.epochs": 3, "masking.mode": "none"}],
        objectives=["probe", "epochs"],
        sampler="nsga2",
        population=3,
        tune_trials=6,
    )
    store = ResultStore(tmp_path)
    watch = WatchTheStorage()
    summary, trials = search(study, store, ray_engine, watch)
    assert (summary.finished, summary.failures) == (6, ())
    assert watch.seen
    assert not watch.others
    assert trials[0].params == {"pretrain.epochs": 3, "masking.mode": "none"}
    found = optuna_trials(store, "two-objectives")
    assert len(found) == 6
    for trial in found:
        record = trials[trial.user_attrs["number"]]
        assert ("masking.ratio" in record.params) == (record.params["masking.mode"] == "hybrid")
        assert trial.params == record.params
        if record.state == "complete":
            epochs, probe = record.intermediate[-1]
            assert epochs == record.params["pretrain.epochs"]
            assert trial.values == [probe, float(epochs)]
        else:
            assert (trial.state.name, trial.values) == ("PRUNED", None)
            assert trial.user_attrs["probes by epoch"] == {str(epoch): value for epoch, value in record.intermediate}


class KillsWorkers(Progress):
    """Kills a worker as soon as it has trained an epoch, until so many are dead."""

    def __init__(self, count):
        super().__init__(1, {"0": 1.0}, stream=io.StringIO(), noun="settings")
        self._count, self._killed = count, set()

    def advance(self, key, share):
        super().advance(key, share)
        living = set(pids_of_workers()) - self._killed
        if living and len(self._killed) < self._count:
            (worker,) = living
            self._killed.add(worker)
            os.kill(worker, signal.SIGKILL)


@pytest.mark.usefixtures("ray_of_two_cpus")
def test_setting_that_loses_its_worker_twice_is_failed_and_tried_again_by_the_next_run(folder, tmp_path):
    limits = {"workers": 1, "checkpoint_every": 1_000_000}
    study = long_sweep(folder, name="struck", tune_trials=1, concurrency=1, asha=None, resources=limits)
    store, alone = ResultStore(tmp_path / "struck"), ResultStore(tmp_path / "alone")
    summary = SweepRun(plan_of(study), store, ray_engine(plan_of(study)), MemoryTracker(), KillsWorkers(2)).run()
    assert (summary.total, summary.finished, summary.ran, summary.complete) == (1, 0, 1, False)
    (failure,) = summary.failures
    assert failure.startswith("tune_trial 0: its worker was lost 2 times")
    (struck,) = search_records(plan_of(study), store)
    assert (struck.state, struck.cause) == ("failed", "lost")
    assert not is_complete(plan_of(study), store)

    summary, trials = search(study, store, ray_engine)
    assert (summary.finished, summary.ran, summary.complete) == (1, 1, True)
    _, undisturbed = search(study, alone, local_engine)
    assert trials == undisturbed
    assert is_complete(plan_of(study), store)


SCRIPT = """
import sys
from pathlib import Path
from comparing import ray_engine
from test_integration_sweep import long_sweep, search
from scmmlab.study import ResultStore
search(long_sweep(Path(sys.argv[1])), ResultStore(sys.argv[2]), ray_engine)
"""


def long_sweep(folder, **changes):
    """Long enough to be met in the middle."""
    base = BASE | {"pretrain": {"epochs": 60, "batch_size": 16}}
    return sweep(folder, **({"tune_trials": 8, "base": base} | changes))


def wait_for(condition, seconds=300):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.usefixtures("ray_of_two_cpus")
def test_sweep_that_is_killed_goes_on_to_its_total(folder, tmp_path):
    store = ResultStore(tmp_path)
    trials = store.study_folder("tiny-sweep")
    command = [sys.executable, "-c", SCRIPT, str(folder), str(tmp_path)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    long_sweep(folder)  # which writes the tables
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as process:
        wait_for(lambda: len(trials.trials()) >= 2 or process.poll() is not None)
        below = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGKILL)
    # Ray's own processes notice within minutes that nobody is there any more
    for child in below:
        with suppress(psutil.NoSuchProcess):
            child.kill()
    before = trials.trials()
    assert 2 <= len(before) < 8
    # what the killed run was at stays in its storage, which nobody goes on with
    assert "RUNNING" in states(optuna_trials(store, "tiny-sweep"))

    summary, after = search(long_sweep(folder), store, ray_engine)
    assert (summary.total, summary.finished, summary.ran) == (8, 8, 8 - len(before))
    _, undisturbed = search(long_sweep(folder), ResultStore(tmp_path / "alone"), local_engine)
    assert after == undisturbed
    assert {name: record for name, record in trials.trials().items() if name in before} == before
    found = optuna_trials(store, "tiny-sweep")
    assert sorted(trial.user_attrs["number"] for trial in found) == list(range(8))
    assert set(states(found)) <= {"COMPLETE", "PRUNED"}
    for trial in found:
        assert trial.intermediate_values == dict(after[trial.user_attrs["number"]].intermediate)
