"""Sweeps by Tune, Optuna and the gang."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import optuna
import pytest
from comparing import local_engine, ray_engine
from tiny_study import plan_of, sweep

from scmmlab.config import AshaSpec
from scmmlab.execution.rungs import RungDecision, Rungs
from scmmlab.execution.sweep import SweepRun
from scmmlab.study import ResultStore
from scmmlab.tracking import MemoryTracker

pytestmark = pytest.mark.slow


def search(study, store, engine_of):
    plan, tracker = plan_of(study), MemoryTracker()
    summary = SweepRun(plan, store, engine_of(plan), tracker).run()
    return summary, tracker.tune_trials


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("tables")


@pytest.mark.usefixtures("ray_of_two_cpus")
def test_sweep_prunes_and_goes_on_to_a_larger_total(folder, tmp_path):
    store = ResultStore(tmp_path)
    first, before = search(sweep(folder, tune_trials=6), store, ray_engine)
    assert (first.total, first.finished, first.ran, first.failures) == (6, 6, 6, ())
    assert {trial.state for trial in before.values()} == {"complete", "pruned"}
    assert before[0].params == {"masking.ratio": 0.5, "aggregator.top_k": None}

    second, after = search(sweep(folder, tune_trials=8), store, ray_engine)
    assert (second.total, second.ran) == (8, 2)
    assert {number: after[number] for number in before} == before

    third, _ = search(sweep(folder, tune_trials=8), store, ray_engine)
    assert third.ran == 0

    storage = f"sqlite:///{store.study_folder('tiny-sweep').local}/optuna.db"
    (name,) = optuna.get_all_study_names(storage)
    found = optuna.load_study(study_name=name, storage=storage).trials
    assert len(found) == 8
    assert {trial.state.name for trial in found} == {"COMPLETE", "PRUNED"}
    for trial in found:
        assert trial.intermediate_values == dict(after[trial.user_attrs["number"]].intermediate)


@pytest.mark.usefixtures("ray_of_two_cpus")
def test_objective_is_the_probe_that_the_local_engine_measures(folder, tmp_path):
    unpruned = {"asha": None, "sampler": "random", "tune_trials": 4}
    _, by_ray = search(sweep(folder, **unpruned), ResultStore(tmp_path / "ray"), ray_engine)
    _, by_local = search(sweep(folder, **unpruned), ResultStore(tmp_path / "local"), local_engine)
    # without a memory of what has ended, both try the same settings, and measure the same to the last bit
    assert by_ray == by_local
    assert all(trial.state == "complete" and 0 <= trial.value <= 1 for trial in by_ray.values())


@pytest.mark.usefixtures("ray_of_two_cpus")
def test_setting_that_cannot_be_trained_is_failed_and_the_others_go_on(folder, tmp_path):
    study = sweep(
        folder,
        name="impossible",
        space={"pretrain.batch_size": {"choices": [32, 4096]}},
        sampler="random",
        points=[{"pretrain.batch_size": 4096}, {"pretrain.batch_size": 32}],
        tune_trials=2,
    )
    summary, trials = search(study, ResultStore(tmp_path), ray_engine)
    assert [trials[0].state, trials[1].state] == ["failed", "complete"]
    assert "4096" in trials[0].error
    assert len(summary.failures) == 1


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
