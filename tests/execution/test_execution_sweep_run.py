"""A run of a sweep, on the engine that needs no Ray."""

from __future__ import annotations

from functools import cache

import optuna
import pytest
from tiny_study import plan_of, sweep, write_tables

from scmmlab.config import ResourcesSpec
from scmmlab.errors import StoreError
from scmmlab.execution.local_engine import LocalEngine
from scmmlab.execution.run_sweep_tasks import slots_per_worker
from scmmlab.execution.sweep.run import SweepRun
from scmmlab.execution.sweep.rungs import RungDecision, Rungs
from scmmlab.execution.sweep.setting import SampledSetting, make_setting
from scmmlab.study import ResultStore, rows_csv, search_key, search_records, trial_rows
from scmmlab.tables import read_table
from scmmlab.tracking import MemoryTracker

pytestmark = pytest.mark.slow


def run(study, store):
    tracker = MemoryTracker()
    engine = LocalEngine(ResourcesSpec(), cache(read_table))
    summary = SweepRun(plan_of(study), store, engine, tracker).run()
    return summary, tracker.tune_trials


def optuna_study(store, name):
    """The one study of the sweep's own storage."""
    storage = f"sqlite:///{store.study_folder(name).local}/optuna.db"
    (key,) = optuna.get_all_study_names(storage)
    return optuna.load_study(study_name=key, storage=storage)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("sweep")


@pytest.fixture(scope="module")
def whole(folder):
    """A sweep that was never stopped."""
    return run(sweep(folder, tune_trials=6), ResultStore(folder / "whole"))


def test_every_setting_ends_with_its_probes(whole):
    summary, trials = whole
    assert summary.complete
    assert sorted(trials) == list(range(6))
    assert {trial.state for trial in trials.values()} == {"complete", "pruned"}
    for trial in trials.values():
        epochs = [epoch for epoch, _ in trial.intermediate]
        assert epochs == ([2, 4, 6] if trial.state == "complete" else [2, 4, 6][: len(epochs)])
        assert all(0 <= value <= 1 for _, value in trial.intermediate), "a probe is a balanced accuracy, not a loss"
        assert trial.value == (trial.intermediate[-1][1] if trial.state == "complete" else None)


def test_slots_are_kept_full_while_there_is_anything_to_try(folder, tmp_path):
    tracker = MemoryTracker()
    study = sweep(folder, tune_trials=9, concurrency=3, asha=None)
    engine = LocalEngine(ResourcesSpec(), cache(read_table))
    assert SweepRun(plan_of(study), ResultStore(tmp_path), engine, tracker).run().complete
    assert tracker.slots_used == 1.0


def test_settings_that_do_not_fit_together_are_tried_one_shape_after_the_other(folder, tmp_path):
    study = sweep(
        folder,
        name="shapes",
        space={"pretrain.batch_size": {"choices": [16, 32]}},
        points=[{"pretrain.batch_size": size} for size in (16, 32, 16, 32)],
        tune_trials=4,
        concurrency=4,
        asha=None,
    )
    summary, trials = run(study, ResultStore(tmp_path))
    assert summary.complete
    assert [trials[number].params["pretrain.batch_size"] for number in range(4)] == [16, 32, 16, 32]
    # the same setting gives the same, whoever was beside it
    assert trials[0].intermediate == trials[2].intermediate
    assert trials[1].intermediate == trials[3].intermediate


@pytest.mark.parametrize(
    ("pack_size", "at_a_time", "workers", "slots"),
    [(None, None, 2, 4), (None, 4, 2, 2), (None, 5, 2, 3), (2, 64, 2, 2), (8, 64, 2, 8), (None, 1, 8, 1)],
)
def test_settings_are_spread_over_workers_before_slots_are_filled(pack_size, at_a_time, workers, slots):
    assert slots_per_worker("cpu", pack_size, at_a_time, workers) == slots


def test_setting_of_a_method_that_runs_on_the_cpu_is_a_task_of_the_cpu(folder):
    space = {"c": {"low": 0.1, "high": 10.0, "log": True}}
    of_cpu = sweep(folder, base={"method": "linear"}, space=space, points=[], asha=None)
    assert make_setting(plan_of(of_cpu), 0, {"c": 1.0}).task.runs_on == "cpu"
    assert make_setting(plan_of(sweep(folder)), 0, {"masking.ratio": 0.5}).task.runs_on == "any"


def test_points_come_first(whole):
    assert whole[1][0].params == {"masking.ratio": 0.5, "aggregator.top_k": None}


def test_sweep_that_goes_on_to_a_larger_total_is_as_one_that_was_never_stopped(whole, folder):
    store = ResultStore(folder / "resumed")
    first, _ = run(sweep(folder, tune_trials=2), store)
    assert first.ran == 2
    second, trials = run(sweep(folder, tune_trials=6), store)
    assert second.ran == 4
    assert trials == whole[1]
    third, _ = run(sweep(folder, tune_trials=6), store)
    assert third.ran == 0


def test_optuna_has_the_search_under_its_identity_with_states_and_probes(whole, folder):
    _, trials = whole
    store = ResultStore(folder / "whole")
    study = optuna_study(store, "tiny-sweep")
    assert study.study_name == f"tiny-sweep-{search_key(plan_of(sweep(folder)))[:8]}"
    states = {"complete": "COMPLETE", "pruned": "PRUNED"}
    assert len(study.trials) == len(trials)
    for found in study.trials:
        trial = trials[found.user_attrs["number"]]
        assert found.state.name == states[trial.state]
        assert found.intermediate_values == dict(trial.intermediate)
        assert found.params == trial.params


def test_two_sweeps_never_share_a_study(folder, tmp_path):
    """Neither with the same search under two names, nor with two searches in one store."""
    store = ResultStore(tmp_path)
    changes = {"tune_trials": 2, "asha": None, "points": [], "sampler": "random"}
    run(sweep(folder, name="one", **changes), store)
    run(sweep(folder, name="same", **changes), store)
    run(sweep(folder, name="other", **changes, seeds=[5]), store)
    one, same, other = (optuna_study(store, name) for name in ("one", "same", "other"))
    keys = [study.study_name.partition("-")[2] for study in (one, same, other)]
    assert keys[0] == keys[1] != keys[2]
    assert [len(study.trials) for study in (one, same, other)] == [2, 2, 2]
    assert [trial.params for trial in one.trials] == [trial.params for trial in same.trials]
    assert [trial.params for trial in one.trials] != [trial.params for trial in other.trials]


@pytest.mark.slow
def test_first_points_of_a_conditional_space_and_a_larger_total(folder, tmp_path):
    space = {
        "masking.ratio": {"low": 0.1, "high": 0.9, "when": {"masking.mode": ["random", "hybrid"]}},
        "masking.mode": {"choices": ["none", "random", "hybrid"]},
    }
    points = [{"masking.mode": "none"}, {"masking.mode": "random", "masking.ratio": 0.25}, {"masking.mode": "hybrid"}]
    changes = {"name": "conditional", "space": space, "points": points}
    store = ResultStore(tmp_path)
    # the run ends among the points, and the next goes on with them
    run(sweep(folder, **changes, tune_trials=2), store)
    summary, trials = run(sweep(folder, **changes, tune_trials=6), store)
    assert (summary.ran, summary.finished, summary.failures) == (4, 6, ())
    assert trials[0].params == points[0]
    assert trials[1].params == points[1]
    assert trials[2].params["masking.mode"] == "hybrid"
    for trial in trials.values():
        assert ("masking.ratio" in trial.params) == (trial.params["masking.mode"] != "none")
    rows = rows_csv(trial_rows("conditional", search_records(plan_of(sweep(folder, **changes)), store)))
    header, *lines = [line.split(",") for line in rows.splitlines()]
    ratio, mode = header.index("masking.ratio"), header.index("masking.mode")
    assert {line[ratio] == "" for line in lines if line[mode] == "none"} == {True}
    assert {line[ratio] == "" for line in lines if line[mode] != "none"} == {False}


def test_two_objectives_go_on_to_a_larger_total(folder, tmp_path):
    changes = {
        "name": "costs",
        "space": {
            "pretrain.epochs": {"low": 2, "high": 8, "type": "int"},
            "masking.ratio": {"low": 0.1, "high": 0.9},
        },
        "points": [],
        "objectives": ["probe", "epochs"],
    }
    store = ResultStore(tmp_path)
    run(sweep(folder, **changes, tune_trials=4), store)
    summary, trials = run(sweep(folder, **changes, tune_trials=8), store)
    assert (summary.ran, summary.finished) == (4, 8)
    study = optuna_study(store, "costs")
    assert [direction.name for direction in study.directions] == ["MAXIMIZE", "MINIMIZE"]
    for trial in study.trials:
        record = trials[trial.user_attrs["number"]]
        if record.state == "complete":
            assert trial.values == [record.value, record.params["pretrain.epochs"]]
        else:
            assert trial.values is None
            assert list(trial.user_attrs["probes by epoch"].values()) == [value for _, value in record.intermediate]


@pytest.mark.parametrize("objectives", [["probe"], ["probe", "epochs"]])
def test_who_is_stopped_is_decided_by_the_probes_alone(folder, tmp_path, objectives):
    study = sweep(
        folder,
        name="rungs",
        space={
            "pretrain.epochs": {"low": 6, "high": 12, "type": "int"},
            "contrast.temperature": {"low": 0.05, "high": 5.0, "log": True},  # whose losses cannot be compared
        },
        points=[],
        objectives=objectives,
        tune_trials=12,
        concurrency=1,
    )
    _, trials = run(study, ResultStore(tmp_path))
    rungs = Rungs(study.asha, 12)
    for number in range(12):
        trial = trials[number]
        decisions = [rungs.report(number, epoch, value) for epoch, value in trial.intermediate]
        assert set(decisions[:-1]) <= {RungDecision.GO_ON}
        stopped = decisions[-1] is RungDecision.STOP and trial.intermediate[-1][0] < trial.params["pretrain.epochs"]
        assert stopped == (trial.state == "pruned")
    assert {trial.state for trial in trials.values()} == {"complete", "pruned"}


def test_changed_search_does_not_join_the_trials_of_another(whole, folder):
    changed = sweep(folder, space={"masking.ratio": {"low": 0.2, "high": 0.9}}, points=[])
    with pytest.raises(StoreError, match="6 tune_trials of another search"):
        run(changed, ResultStore(folder / "whole"))


def test_resources_total_and_concurrency_are_no_part_of_a_search(folder):
    keys = {
        search_key(plan_of(sweep(folder, **changes)))
        for changes in ({}, {"tune_trials": 99}, {"concurrency": 7}, {"resources": {"workers": 3}}, {"name": "other"})
    }
    assert len(keys) == 1
    assert search_key(plan_of(sweep(folder, sampler="random"))) not in keys


def test_setting_that_diverges_is_failed_and_has_no_value():
    setting = SampledSetting(3, {"masking.ratio": 0.5}, "key", None)
    setting.add_probe(2, 0.7)
    setting.add_probe(4, float("nan"))
    setting.add_probe(6, 0.8)
    assert setting.over
    record = setting.record()
    assert (record.state, record.value) == ("failed", None)
    assert record.intermediate == ((2, 0.7),)
    assert "after epoch 4 is not finite" in record.error


def test_setting_that_diverges_is_told_as_failed_and_the_others_go_on(tmp_path):
    write_tables(tmp_path, unit=1e30)  # so large that arithmetic overflows unless they are scaled
    study = sweep(
        tmp_path,
        space={"scaling": {"choices": ["none", "min_max"]}},
        points=[{"scaling": "none"}, {"scaling": "min_max"}],
        tune_trials=2,
        asha=None,
    )
    store = ResultStore(tmp_path / "store")
    summary, trials = run(study, store)
    assert [trials[0].state, trials[1].state] == ["failed", "complete"]
    assert "diverged in epoch 1 of 6" in trials[0].error
    assert summary.finished == 2
    failed, complete = optuna_study(store, study.name).trials
    assert (failed.state.name, failed.values) == ("FAIL", None)
    assert failed.user_attrs["error"] == trials[0].error
    assert complete.state.name == "COMPLETE"
    # which is not tried again
    assert run(study, store)[0].ran == 0


def test_probe_that_comes_again_after_a_resume_counts_once():
    setting = SampledSetting(0, {}, "key", None)
    setting.add_probe(2, 0.7)
    setting.add_probe(2, 0.7)
    assert setting.record().intermediate == ((2, 0.7),)


def test_settings_that_do_not_go_together_are_failed_and_the_sweep_goes_on(folder):
    # more windows than the source has
    study = sweep(
        folder,
        name="impossible",
        space={"pretrain.batch_size": {"choices": [32, 4096]}},
        sampler="random",
        points=[{"pretrain.batch_size": 4096}, {"pretrain.batch_size": 32}],
        tune_trials=2,
    )
    summary, trials = run(study, ResultStore(folder / "impossible"))
    assert [trials[0].state, trials[1].state] == ["failed", "complete"]
    assert "4096" in trials[0].error
    assert summary.failures == (f"tune_trial 0: {trials[0].error}",)
