"""What Optuna is asked and told: conditions, several objectives, first points, and what is rebuilt from records."""

from __future__ import annotations

import logging
from statistics import fmean

import optuna
import psutil
import pytest
from tiny_study import sweep

from scmmlab.execution.sweep.optuna_study import OptunaStudyAdapter
from scmmlab.tracking import TuneTrialRecord

CONDITIONAL = {
    "masking.threshold": {"low": 0.0, "high": 1.0, "when": {"masking.mode": "hybrid"}},
    "masking.ratio": {"low": 0.1, "high": 0.9, "when": {"masking.mode": ["random", "hybrid"]}},
    "masking.mode": {"choices": ["none", "random", "hybrid"]},
    "aggregator.top_k": {"choices": [2, 8, None], "when": {"aggregator.enabled": True}},
}
SEARCHED = {
    "none": {"masking.mode", "aggregator.top_k"},
    "random": {"masking.mode", "masking.ratio", "aggregator.top_k"},
    "hybrid": {"masking.mode", "masking.ratio", "masking.threshold", "aggregator.top_k"},
}
NAME = "tiny-sweep-01234567"
TWO = {
    "objectives": ["probe", "epochs"],
    "space": {"pretrain.epochs": {"low": 2, "high": 8, "type": "int"}, "masking.ratio": {"low": 0.1, "high": 0.9}},
    "points": [],
}


def adapter_of(folder, ended=(), storage=None, **changes):
    """An adapter that was told of `ended`, as a run that goes on does."""
    adapter = OptunaStudyAdapter(sweep(folder, **changes), "0123456789abcdef", storage)
    for record in ended:
        assert adapter.ask(record.number, record.params) == record.params
        for epoch, value in record.intermediate:
            adapter.report(record.number, epoch, value)
        adapter.tell(record)
    return adapter


def ended(number, params, probes=((2, 0.5), (4, 0.6)), state="complete", error=None):
    value = probes[-1][1] if state == "complete" else None
    return TuneTrialRecord(number, f"key-{number}", params, tuple(probes), value, state, error)


def probe_of(params):
    """A made-up objective, which has an optimum and prefers hybrid."""
    return 0.5 + 0.1 * (params["masking.mode"] == "hybrid") - (params.get("masking.ratio", 0.0) - 0.4) ** 2


def attributes(trial):
    return {name: value for name, value in trial.user_attrs.items() if name != "number"}


@pytest.mark.parametrize("sampler", ["tpe", "nsga2", "random"])
def test_only_what_its_conditions_allow_is_sampled(tmp_path, sampler):
    adapter = adapter_of(tmp_path, space=CONDITIONAL, points=[], sampler=sampler, population=4)
    modes = set()
    for number in range(30):
        params = adapter.ask(number)
        assert set(params) == SEARCHED[params["masking.mode"]]
        modes.add(params["masking.mode"])
        adapter.tell(ended(number, params, [(2, probe_of(params))]))
    assert len(modes) == 3
    for trial in adapter.study.trials:
        assert set(trial.params) == SEARCHED[trial.params["masking.mode"]]


def test_nothing_is_sampled_that_the_base_excludes(tmp_path):
    base = {"aggregator": {"enabled": False}, "protocol": {"kind": "loso"}}
    adapter = adapter_of(tmp_path, space=CONDITIONAL, points=[], base=base)
    assert all("aggregator.top_k" not in adapter.ask(number) for number in range(5))


def test_first_points_name_what_they_fix_and_the_sampler_the_rest(tmp_path):
    points = [
        {"masking.mode": "hybrid", "masking.ratio": 0.25, "masking.threshold": 0.5, "aggregator.top_k": None},
        {"masking.mode": "none"},
        {"masking.mode": "random", "masking.ratio": 0.75},
    ]
    adapter = adapter_of(tmp_path, space=CONDITIONAL, points=points)
    first, second, third = (adapter.ask(number) for number in range(3))
    assert first == points[0]
    assert set(second) == SEARCHED["none"]
    assert second["masking.mode"] == "none"
    assert {path: third[path] for path in points[2]} == points[2]
    assert set(third) == SEARCHED["random"]


@pytest.mark.parametrize("sampler", ["tpe", "nsga2", "random"])
def test_a_study_made_again_from_records_samples_as_the_one_that_was_there(tmp_path, sampler):
    changes = {"space": CONDITIONAL, "points": [], "sampler": sampler, "population": 3}
    whole, records = adapter_of(tmp_path, **changes), []
    for number in range(24):
        # what is asked of a study that is rebuilt after each setting
        again = adapter_of(tmp_path, records, **changes)
        params = whole.ask(number)
        assert again.ask(number) == params
        state = "pruned" if number % 5 == 4 else "complete"
        records.append(ended(number, params, [(2, probe_of(params))], state))
        whole.report(number, 2, probe_of(params))
        whole.tell(records[-1])


@pytest.mark.parametrize("sampler", ["tpe", "nsga2"])
def test_two_objectives_made_again_from_records_sample_as_those_that_were_there(tmp_path, sampler):
    changes = TWO | {"sampler": sampler, "population": 3}
    whole, records = adapter_of(tmp_path, **changes), []
    for number in range(24):
        again = adapter_of(tmp_path, records, **changes)
        params = whole.ask(number)
        assert again.ask(number) == params
        probes = [(2, 0.5), (params["pretrain.epochs"], 0.5 + 0.02 * params["pretrain.epochs"])]
        records.append(ended(number, params, probes, "pruned" if number % 5 == 4 else "complete"))
        whole.report(number, *probes[0])
        whole.tell(records[-1])


def test_nsga2_breeds_from_the_best_of_a_generation(tmp_path):
    adapter = adapter_of(tmp_path, **TWO, sampler="nsga2", population=8)
    ratios = []
    for number in range(24):
        params = adapter.ask(number)
        ratios.append(params["masking.ratio"])
        adapter.tell(ended(number, params, [(params["pretrain.epochs"], 1 - abs(ratios[-1] - 0.3))]))
    generations = [trial.system_attrs["Nsga2:generation"] for trial in adapter.study.trials]
    assert generations == [number // 8 for number in range(24)]
    # a child has what one of its parents had, unless that has mutated
    inherited = [ratio for number, ratio in enumerate(ratios) if ratio in ratios[:number]]
    assert len(inherited) > 4
    assert fmean(abs(ratio - 0.3) for ratio in inherited) < fmean(abs(ratio - 0.3) for ratio in ratios[:8])


def searched(adapter, outcomes):
    """Have the adapter see settings sampled, probed and ended; their records."""
    records = []
    for number, (state, probes, error) in outcomes.items():
        params = adapter.ask(number)
        for epoch, value in probes:
            adapter.report(number, epoch, value)
        records.append(ended(number, params, probes, state, error))
        adapter.tell(records[-1])
    return records


def test_of_one_objective_optuna_has_states_values_and_probes(tmp_path):
    adapter = adapter_of(tmp_path, storage=tmp_path)
    outcomes = {
        0: ("complete", [(2, 0.5), (4, 0.6)], None),
        1: ("pruned", [(2, 0.4)], None),
        2: ("failed", [(2, 0.45)], "the loss is not finite in epoch 3"),
        3: ("failed", [], "the worker was lost"),
    }
    records = searched(adapter, outcomes)
    storage = f"sqlite:///{tmp_path}/optuna.db"
    for study in (
        optuna.load_study(study_name=NAME, storage=storage),
        adapter_of(tmp_path, records, storage=tmp_path).study,
    ):
        assert study.direction.name == "MAXIMIZE"
        assert [trial.state.name for trial in study.trials] == ["COMPLETE", "PRUNED", "FAIL", "FAIL"]
        assert [trial.values for trial in study.trials] == [[0.6], [0.4], None, None]
        for trial, (_, probes, error) in zip(study.trials, outcomes.values(), strict=True):
            assert trial.intermediate_values == dict(probes)
            assert attributes(trial) == ({} if error is None else {"error": error})


def test_of_two_objectives_optuna_has_both_and_pruned_ones_keep_their_probes(tmp_path):
    adapter = adapter_of(tmp_path, storage=tmp_path, **TWO)
    outcomes = {
        0: ("complete", [(2, 0.5), (4, 0.6)], None),
        1: ("pruned", [(2, 0.4), (4, 0.45)], None),
        2: ("failed", [], "the worker was lost"),
    }
    records = searched(adapter, outcomes)
    storage = f"sqlite:///{tmp_path}/optuna.db"
    for study in (
        optuna.load_study(study_name=NAME, storage=storage),
        adapter_of(tmp_path, records, storage=tmp_path, **TWO).study,
    ):
        assert [direction.name for direction in study.directions] == ["MAXIMIZE", "MINIMIZE"]
        assert [trial.state.name for trial in study.trials] == ["COMPLETE", "PRUNED", "FAIL"]
        assert [trial.values for trial in study.trials] == [[0.6, 4.0], None, None]
        assert [trial.number for trial in study.best_trials] == [0]
        pruned = attributes(study.trials[1])
        assert pruned == {"last probe": 0.45, "last epoch": 4, "probes by epoch": {"2": 0.4, "4": 0.45}}
        assert attributes(study.trials[2]) == {"error": "the worker was lost"}


def test_a_storage_holds_one_study_and_nothing_of_the_run_before(tmp_path):
    first = adapter_of(tmp_path, storage=tmp_path)
    first.ask(0)
    # the run was killed: its study has a trial that is running for ever
    again = adapter_of(tmp_path, storage=tmp_path)
    assert again.study.trials == []
    assert optuna.get_all_study_names(f"sqlite:///{tmp_path}/optuna.db") == [NAME]


def test_no_database_is_put_where_locks_do_not_hold_and_the_search_goes_on(tmp_path, monkeypatch, caplog):
    far = tmp_path / "far"
    far.mkdir()
    listing = tmp_path / "proc" / "self" / "mounts"
    listing.parent.mkdir(parents=True)
    listing.write_text(f"/dev/sda1 / ext4 rw 0 0\nserver:/x {far} nfs4 rw 0 0\n")
    monkeypatch.setattr(psutil, "PROCFS_PATH", str(tmp_path / "proc"))
    with caplog.at_level(logging.WARNING):
        adapter = adapter_of(tmp_path, storage=far)
    assert f"There is no {far / 'optuna.db'} for optuna-dashboard" in caplog.text
    assert "SQLite relies on file locks, which nfs4" in caplog.text
    assert list(far.iterdir()) == []
    near = adapter_of(tmp_path, storage=tmp_path)
    assert (tmp_path / "optuna.db").is_file()
    assert adapter.ask(0) == near.ask(0)
