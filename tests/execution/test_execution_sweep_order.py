"""What a sweep samples and stops does not depend on who is faster: trainings of any pace, by the search's own rules."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_study import plan_of, sweep

from scmmlab.config import SweepSpec
from scmmlab.execution.sweep.optuna_study import OptunaBook
from scmmlab.execution.sweep.search import Search
from scmmlab.study import search_key

SPACES = {
    "fixed length": {
        "masking.ratio": {"low": 0.1, "high": 0.9},
        "contrast.temperature": {"low": 0.05, "high": 5.0, "log": True},
    },
    "any length": {
        "masking.ratio": {"low": 0.1, "high": 0.9},
        "pretrain.epochs": {"low": 2, "high": 20, "type": "int"},
        "pretrain.enabled": {"choices": [True, True, True, False]},
        # more windows than the source has: such a setting comes to nothing before it is trained
        "pretrain.batch_size": {"choices": [16, 32, 4096]},
    },
}
SAMPLERS = {
    "tpe": {"sampler": "tpe"},
    "nsga2": {"sampler": "nsga2", "population": 3, "objectives": ["probe", "epochs"]},
    "no rungs": {"sampler": "tpe", "asha": None},
    "random": {"sampler": "random"},
}
POINTS = [{"masking.ratio": 0.5}]


def study_of(folder, space="fixed length", kind="tpe", **changes) -> SweepSpec:
    changes = {"space": SPACES[space], "points": POINTS, "tune_trials": 14, "concurrency": 4} | changes
    changes = SAMPLERS[kind] | changes
    if "objectives" in changes and space == "fixed length":
        changes |= {"objectives": ["probe"]}
    base = {
        "network": {"width": 16},
        "pretrain": {"epochs": 18, "batch_size": 32},
        "protocol": {"kind": "honest", "trial_order": "time_within_class", "finetune_share": 0.67},
    }
    return sweep(folder, base=base, **changes)


def probe_of(params, epoch):
    """What a setting is worth, which its place among the others changes with."""
    ratio = params["masking.ratio"]
    return 0.7 + 0.1 * math.sin(40 * ratio + epoch / 3) - 0.3 * abs(ratio - 0.4)


class PacedSearch(Search):
    """Trainings that only have a pace: of those that run, one drawn by `timing` comes to its next report."""

    def __init__(self, study: SweepSpec, timing: random.Random, ended=(), slots=4):
        plan = plan_of(study)
        self._timing, self._slots = timing, slots
        self._reported: dict[str, int] = {}
        self._pace: dict[str, float] = {}
        records = {record.number: record for record in ended}
        super().__init__(plan, records, OptunaBook(study, search_key(plan), None), lambda key: {})

    def step(self, heard=None, timeout_s=0.0):
        while self._ready and len(self._settings) < self._slots:
            setting = self._ready.popleft()
            name = str(setting.number)
            self._settings[name], self._reported[name] = setting, 0
            self._pace[name] = self._timing.choice([1.0, 1.0, 5.0, 50.0])
        if self._settings:
            names = list(self._settings)
            self._report(self._timing.choices(names, [self._pace[name] for name in names])[0])
        return self._take_records()

    def _report(self, name: str) -> None:
        setting = self._settings[name]
        epochs = setting.reports[self._reported[name] :]
        diverges = setting.params["masking.ratio"] > 0.8 and self._reported[name] == 2
        if epochs and not diverges:
            self._reported[name] += 1
            if self._probed(setting, epochs[0], probe_of(setting.params, epochs[0])):
                return
        elif diverges and not setting.concluded:
            setting.error = "the loss is not finite"
        del self._settings[name]
        self._over(setting)

    def stop(self) -> None:
        self._settings.clear()


def records_of(study, seed=0, ended=(), slots=4, steps=10**6):
    search, records = PacedSearch(study, random.Random(seed), ended, slots), list(ended)
    while not search.done and steps:
        records += search.step()
        steps -= 1
    return sorted(records, key=lambda record: record.number)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("order")


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_paces_and_slots_make_no_difference(folder, space, sampler):
    study = study_of(folder, space, sampler)
    first = records_of(study)
    assert len(first) == 14
    assert {record.state for record in first} >= {"complete", "failed"} - (
        {"failed"} if space != "any length" else set()
    )
    for seed, slots in ((1, 4), (2, 4), (3, 1), (4, 2)):
        assert records_of(study, seed, slots=slots) == first


@settings(max_examples=8, deadline=None)
@given(st.data())
def test_search_that_is_killed_anywhere_and_goes_on_is_as_one_that_was_not(folder, data):
    sampler = data.draw(st.sampled_from(sorted(SAMPLERS)))
    study = study_of(folder, "any length", sampler)
    records: list = []
    for seed in range(data.draw(st.integers(1, 3))):
        records = records_of(study, seed, records, steps=data.draw(st.integers(1, 60)))
    assert records_of(study, 9, records) == records_of(study)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_search_that_goes_on_to_a_larger_total_is_as_one_that_had_it_from_the_start(folder, sampler):
    few = records_of(study_of(folder, kind=sampler, tune_trials=5), seed=1)
    assert records_of(study_of(folder, kind=sampler), 2, few) == records_of(study_of(folder, kind=sampler))


def test_without_the_order_it_depends_on_who_was_faster(folder):
    study = study_of(folder, synchronous=False)
    assert not study.repeatable
    assert len({str(records_of(study, seed)) for seed in range(4)}) > 1
    # where nothing depends on what was before, there is nothing to put in order
    free = {"sampler": "random", "asha": None}
    assert study_of(folder, **free, synchronous=False).repeatable
    assert records_of(study_of(folder, **free, synchronous=False), 1) == records_of(study_of(folder, **free), 2)


def test_what_a_setting_did_after_it_was_stopped_does_not_count(folder):
    study = study_of(folder)
    search = PacedSearch(study, random.Random(0))
    settings = [search._ready.popleft() for _ in range(4)]
    # the last one runs ahead, and fails where it would never have come to
    for epoch in settings[3].reports[:5]:
        assert search._probed(settings[3], epoch, 0.1)
    settings[3].error = "out of memory"
    search._over(settings[3])
    assert search._take_records() == []
    for setting in settings[:3]:
        search._probed(setting, 2, 0.8)
    (record,) = search._take_records()
    assert (record.number, record.state, record.intermediate, record.error) == (3, "pruned", ((2, 0.1),), None)


def test_order_is_in_the_search_s_identity_where_it_is_given_up(folder):
    assert search_key(plan_of(study_of(folder))) != search_key(plan_of(study_of(folder, synchronous=False)))
