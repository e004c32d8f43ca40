"""What every engine does, whatever it runs on; `EngineConformance` is inherited by the test of each."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from functools import cache

import pytest
from comparing import csv, events_of_engine, local_engine, objects, run, tensor_bytes
from ray_head import wait_for
from struck_study import At
from tiny_study import BASE, ablation, ablation_with_a_failure, plan_of

from scmmlab.config import ResourcesSpec
from scmmlab.execution.engine import Engine
from scmmlab.execution.events import CheckpointSaved, EngineEvent, EpochEnded, TaskEnded, TaskStarted
from scmmlab.execution.task import Outcome, Task
from scmmlab.study import Plan, ResultStore, cell_request, pretrain_request, study_status
from scmmlab.tables import read_table
from scmmlab.tracking import MemoryTracker
from scmmlab.training import CellRequest, PretrainRequest, Reporter, StageFailure
from scmmlab.training.stages import run_cell_stage, run_pretrain_stage

LONGEST_S = 180.0
ENDLESS = 1_000_000
"""Epochs that nobody waits for."""
RESOURCES = ResourcesSpec(workers=1, checkpoint_every=2)


@dataclass(frozen=True)
class Work:
    """What there is to be run, of two studies: of tables that can be trained on, and of some that cannot."""

    plan: Plan
    unscaled: Plan

    @property
    def tables(self) -> list[str]:
        return [*self.plan.manifests, *self.unscaled.manifests]

    def pretraining(self, key: str, epochs: int | None = None, **pretrain: object) -> PretrainRequest:
        """The study's first pre-training under a key of its own, with some of its settings changed."""
        changes = pretrain if epochs is None else {"epochs": epochs, **pretrain}
        request = pretrain_request(self.plan.cells[0])
        spec = request.experiment.model_dump()
        experiment = type(request.experiment).model_validate(spec | {"pretrain": spec["pretrain"] | changes})
        return replace(request, key=key, experiment=experiment)


class EngineConformance:
    """A subclass gives `make_engine`, and `held`."""

    def make_engine(self, resources: ResourcesSpec, tables: Collection[str]) -> Engine:
        """An engine that nobody has entered, and that passes on every checkpoint."""
        raise AssertionError("a subclass makes its engine")

    def held(self) -> object:
        """What engines hold at the moment, of what they are to let go of."""
        raise AssertionError("a subclass says what its engines hold")

    @pytest.fixture(scope="class")
    def work(self, tmp_path_factory) -> Work:
        good, unscaled = tmp_path_factory.mktemp("good"), tmp_path_factory.mktemp("unscaled")
        return Work(plan_of(ablation(good)), plan_of(ablation_with_a_failure(unscaled)))

    @pytest.fixture(scope="class")
    def engine(self, work):
        """One for all tests that need not see it come and go."""
        with self.make_engine(RESOURCES, work.tables) as engine:
            assert engine.device in ("cpu", "cuda")
            assert engine.workers == 1
            yield engine

    # first, as long as nothing is held
    def test_study_that_is_interrupted_lets_go_of_everything_goes_on_and_is_told_whole(self, tmp_path):
        held = self.held()
        base = {**BASE, "pretrain": {"epochs": 60, "batch_size": 32}}
        limits = RESOURCES.model_dump() | {"pack_size": 1}
        plan = plan_of(ablation(tmp_path / "tables", base=base, seeds=[0], resources=limits))
        alone, whole = ResultStore(tmp_path / "alone"), MemoryTracker()
        assert run(plan, alone, local_engine(plan), whole).complete

        store = ResultStore(tmp_path / "store")
        interrupting = At(10, lambda: os.kill(os.getpid(), signal.SIGTERM))
        with pytest.raises(KeyboardInterrupt):
            run(plan, store, self.make_engine(plan.study.resources, plan.manifests), interrupting)
        assert not study_status(plan, store).complete
        wait_for(lambda: self.held() == held, 30)

        engine, tracker = self.make_engine(plan.study.resources, plan.manifests), MemoryTracker()
        events = events_of_engine(engine)
        assert run(plan, store, engine, tracker).complete
        resumed = [key for key in plan.pretraining if epochs_of(events, key)[:1] != [1]]
        assert len(resumed) == 1, "what was interrupted, and that from a checkpoint"
        assert csv(plan, store) == csv(plan, alone)
        assert objects(store) == objects(alone)
        assert tracker.records == whole.records
        wait_for(lambda: self.held() == held, 30)

    def test_every_request_ends_once_after_its_epochs_and_with_the_bytes_of_its_stage(self, engine, work):
        cells = {cell.variant: cell for cell in work.plan.cells if cell.seed == 0}
        encoders = [pretrain_request(cells[variant]) for variant in ("full", "no_contrast")]
        encoders.append(replace(encoders[0], key="another", seed=1))
        found = outcomes_in_order(engine, [Task("a pack", encoders[:2]), Task("one alone", encoders[2:])])
        assert contents(found) == contents(directly(encoders))

        tuned = [cell_request(cells[variant], found[0].tensors) for variant in ("full", "frozen_encoder")]
        tuned.append(cell_request(cells["no_pretraining"], None))
        found = outcomes_in_order(engine, [Task("cells", tuned)])
        assert contents(found) == contents(directly(tuned))

    def test_what_fails_leaves_the_others_of_its_task(self, engine, work):
        unscaled = next(cell for cell in work.unscaled.cells if cell.variant == "unscaled")
        requests = [
            work.pretraining("too large a batch", batch_size=4096),
            work.pretraining("before"),
            replace(pretrain_request(unscaled), key="diverges"),
            work.pretraining("after"),
        ]
        (ended,) = endings(events_of(engine, [Task("of four", requests)]))
        assert contents(ended.outcomes) == contents(directly(requests))
        failed = {outcome.key: outcome.error for outcome in ended.outcomes if isinstance(outcome, StageFailure)}
        assert "4096" in failed.pop("too large a batch")
        assert "diverged in epoch 1" in failed.pop("diverges")
        assert not failed

    def test_what_is_cancelled_is_stopped_and_nothing_beside_it(self, engine, work):
        requests = [work.pretraining("endless", ENDLESS), work.pretraining("its neighbour")]

        def stop(event: EngineEvent) -> None:
            if isinstance(event, EpochEnded) and event.key == "endless":
                engine.cancel("endless")

        (ended,) = endings(events_of(engine, [Task("of two", requests)], stop))
        stopped, neighbour = ended.outcomes
        assert stopped.record["state"] == "stopped"
        assert 1 <= len(stopped.record["curve"]) < ENDLESS
        assert contents([neighbour]) == contents(directly(requests[1:]))

    def test_training_goes_on_from_a_checkpoint_that_was_handed_over(self, engine, work):
        request = work.pretraining("long", epochs := 80)
        whole = events_of(engine, [Task("from the start", [request])])
        first = next(event for event in whole if isinstance(event, CheckpointSaved))
        assert (first.key, first.stage) == ("long", "pretrain")

        rest = events_of(engine, [Task("from there", [request], {(first.key, first.stage): first.data})])
        gone_through = epochs_of(rest, "long")
        assert gone_through == list(range(gone_through[0], epochs + 1))
        assert gone_through[0] > 1
        (before,), (after,) = endings(whole), endings(rest)
        assert contents(after.outcomes) == contents(before.outcomes) == contents(directly([request]))


def events_of(engine: Engine, tasks: Sequence[Task], listen: Callable[[EngineEvent], object] = id) -> list[EngineEvent]:
    """Everything that the engine tells until tasks have ended, and shortly after."""
    events: list[EngineEvent] = []

    def emit(event: EngineEvent) -> None:
        events.append(event)
        listen(event)

    for task in tasks:
        engine.submit(task)
    deadline = time.monotonic() + LONGEST_S
    while len(endings(events)) < len(tasks):
        assert time.monotonic() < deadline, events[-5:]
        engine.step(emit, 0.5)
    engine.step(emit, 0.0)
    return events


def endings(events: Sequence[EngineEvent]) -> list[TaskEnded]:
    return [event for event in events if isinstance(event, TaskEnded)]


def epochs_of(events: Sequence[EngineEvent], key: str) -> list[int]:
    return [event.epoch for event in events if isinstance(event, EpochEnded) and event.key == key]


def outcomes_in_order(engine: Engine, tasks: Sequence[Task]) -> list[Outcome]:
    """The outcomes of tasks that end well; each is told of in order, and once."""
    events, outcomes = events_of(engine, tasks), list[Outcome]()
    assert len(endings(events)) == len(tasks)
    for task in tasks:
        of_it = [
            event
            for event in events
            if getattr(event, "task_id", None) == task.id or getattr(event, "key", None) in task.keys
        ]
        (first, *between, last) = of_it
        assert isinstance(first, TaskStarted)
        assert (first.keys, first.attempt) == (task.keys, 1)
        assert {type(event) for event in between} <= {EpochEnded, CheckpointSaved}
        for request in task.requests:
            ended = [event for event in between if isinstance(event, EpochEnded) and event.key == request.key]
            epochs = request.experiment.epochs(task.kind)
            assert [(event.epoch, event.epochs) for event in ended] == [(e, epochs) for e in range(1, epochs + 1)]
            assert {event.stage for event in ended} == {task.kind}
        assert isinstance(last, TaskEnded)
        assert last.seconds > 0
        assert [outcome.key for outcome in last.outcomes] == list(task.keys)
        outcomes += last.outcomes
    return outcomes


def directly(requests: Sequence[PretrainRequest] | Sequence[CellRequest]) -> list[Outcome]:
    """What the stages make of requests when they are called here."""
    stage = run_pretrain_stage if isinstance(requests[0], PretrainRequest) else run_cell_stage
    return stage(requests, cache(read_table), Reporter())


def contents(outcomes: Sequence[Outcome]) -> list[tuple[object, ...]]:
    """Outcomes byte by byte, but for where they were made."""
    return [
        (outcome.key, outcome.kind, outcome.error, outcome.cause)
        if isinstance(outcome, StageFailure)
        else (outcome.key, outcome.kind, outcome.record, tensor_bytes(outcome.tensors))
        for outcome in outcomes
    ]
