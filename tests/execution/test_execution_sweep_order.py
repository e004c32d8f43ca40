"""What a sweep samples and stops does not depend on who is faster: trainings of any pace, by the search's own rules."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_study import plan_of, sweep

from scmmlab.config import SweepSpec
from scmmlab.execution.engine import Engine
from scmmlab.execution.events import EpochEnded, TaskEnded
from scmmlab.execution.sweep.optuna_study import OptunaStudyAdapter
from scmmlab.execution.sweep.search import Search
from scmmlab.study import search_key
from scmmlab.training import StageFailure, StageOutput

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


class PacedEngine(Engine):
    """Trainings that only have a pace: of those that run, one drawn by `timing` comes to its next report."""

    def __init__(self, plan, timing: random.Random, slots=4):
        self._plan, self._timing, self._slots = plan, timing, slots
        self._queue: list = []
        self._running: dict[str, list[int]] = {}
        self._params: dict[str, dict] = {}
        self._pace: dict[str, float] = {}

    def open(self): ...

    def close(self): ...

    def submit(self, task):
        self._queue.append(task)

    def cancel(self, key):
        self._running.pop(key)

    def step(self, on_event, timeout_s):
        while self._queue and len(self._running) < self._slots:
            (request,) = self._queue.pop(0).requests
            epochs, every = request.experiment.epochs("pretrain"), request.report_every
            reports = [*range(every, epochs, every), epochs] if request.experiment.pretrains else [epochs]
            self._running[request.key] = reports
            self._params[request.key] = {"masking.ratio": request.experiment.masking.ratio, "reports": len(reports)}
            self._pace[request.key] = self._timing.choice([1.0, 1.0, 5.0, 50.0])
        if self._running:
            keys = list(self._running)
            self._advance(self._timing.choices(keys, [self._pace[key] for key in keys])[0], on_event)

    def _advance(self, key, on_event):
        reports, params = self._running[key], self._params[key]
        diverges = params["masking.ratio"] > 0.8 and params["reports"] - len(reports) == 2
        if reports and not diverges:
            on_event(EpochEnded(key, "probe", epoch := reports.pop(0), 1, {"probe": probe_of(params, epoch)}))
            return
        del self._running[key]
        end = (
            StageFailure(key, "sweep", "the loss is not finite", "") if diverges else StageOutput(key, "sweep", {}, {})
        )
        on_event(TaskEnded(key, (end,), 0.0))


def make_search(study, engine, ended=()):
    plan, records = plan_of(study), {record.number: record for record in ended}
    return Search(engine, plan, records, OptunaStudyAdapter(study, search_key(plan), None), lambda key: {})


def records_of(study, seed=0, ended=(), slots=4, steps=10**6):
    search = make_search(study, PacedEngine(plan_of(study), random.Random(seed), slots), ended)
    records = list(ended)
    while not search.done and steps:
        records += search.step(id, 0.0)
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


class ScriptedEngine(PacedEngine):
    """Reports what it is given to report."""

    def __init__(self):
        self.keys, self.cancelled, self.events = [], [], []

    def submit(self, task):
        self.keys += task.keys

    def cancel(self, key):
        self.cancelled.append(key)

    def step(self, on_event, timeout_s):
        while self.events:
            on_event(self.events.pop(0))

    def probe(self, key, epoch, value):
        self.events.append(EpochEnded(key, "probe", epoch, 18, {"probe": value}))


def test_what_a_setting_did_after_it_was_stopped_does_not_count(folder):
    engine = ScriptedEngine()
    search = make_search(study_of(folder), engine)
    assert search.step(id, 0.0) == []
    *others, ahead = engine.keys[:4]
    # the last one runs ahead, and fails where it would never have come to
    for epoch in (2, 4, 6, 8, 10):
        engine.probe(ahead, epoch, 0.1)
    engine.events.append(TaskEnded(ahead, (StageFailure(ahead, "sweep", "out of memory", ""),), 0.0))
    assert search.step(id, 0.0) == []
    for key in others:
        engine.probe(key, 2, 0.8)
    (record,) = search.step(id, 0.0)
    assert (record.number, record.state, record.intermediate, record.error) == (3, "pruned", ((2, 0.1),), None)


def test_training_whose_setting_is_stopped_or_whose_probe_is_not_finite_is_cancelled_once(folder):
    engine = ScriptedEngine()
    search = make_search(study_of(folder, tune_trials=4), engine)
    search.step(id, 0.0)
    stopped, not_finite, *_ = engine.keys[:4][::-1]
    for key in engine.keys[:3]:
        engine.probe(key, 2, 0.8)
    engine.probe(stopped, 2, 0.1)
    engine.probe(stopped, 4, 0.9)  # it had not heard of it
    engine.probe(not_finite, 4, math.nan)
    records = {record.number: record for record in search.step(id, 0.0)}
    assert records[3].state == "pruned"
    assert engine.cancelled == [stopped, not_finite]
    assert search.running == 2
