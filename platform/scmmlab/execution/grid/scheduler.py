"""Which stages are run next, and which of them together. Pure: it is told what happened and says what to do.

The life of a stage::

                 what it needs is done            next()             done()
    WAITING ----------------------------> READY ----------> RUNNING ---------> DONE
     |   ^                                  ^                |   |               |
     |   |      lacks(): what it needs turned out damaged    |   |               |
     |   +----------------------------------|----------------+   |               |
     |                                      +--------------------|---------------+
     | what it needs has failed                         failed() |   a stage that needs it lacks its outcome
     v                                                           |
    FAILED <-----------------------------------------------------+

FAILED stages are left alone for this run; the next run tries them again.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from enum import Enum
from itertools import islice
from typing import get_args

from scmmlab.config.experiment import TrainedStage
from scmmlab.execution.task import ANYWHERE, Places
from scmmlab.methods.contract import RunsOn

LEAST_STEPS = 0.75
"""A stage has at least this share of the steps an epoch of those that it shares a pack with: a quarter of the work of a
pack, at most, is done for nothing."""


class StageState(Enum):
    """State of a stage."""

    WAITING = "waiting"
    READY = "ready"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True)
class Stage:
    """A piece of work with a key."""

    key: str
    kind: TrainedStage
    needs: str | None
    """Key of the stage whose outcome it starts from."""
    signature: Hashable
    """Stages of equal `signature` may run together."""
    replicas: int
    """Models that it trains."""
    steps: float = 1.0
    """Steps of an epoch of each. In a pack, one with fewer idles while the others train."""
    runs_on: RunsOn = "any"
    """Where it computes; equal for stages of equal `signature`, and for a stage and the one that it needs."""


class Scheduler:
    """Decides what runs next.

    Within a kind of stage the order of the plan holds.

    Parameters
    ----------
    stages : iterable of Stage
        What is to run, in the order of the plan.
    done : iterable of str
        Keys of stages that need not run, as their outcomes exist.
    pack_size : callable
        Stage → replicas that are trained together with it, itself included, at most.
    first : {"finetune", "pretrain"}
        The kind that goes first: fine-tuning, so that the first cells end early, or pre-training, where other workers
        do it.
    """

    def __init__(
        self,
        stages: Iterable[Stage],
        done: Iterable[str],
        pack_size: Callable[[Stage], int],
        first: TrainedStage = "finetune",
    ):
        self._first = first
        self._stages = {stage.key: stage for stage in stages}
        self._index = {key: index for index, key in enumerate(self._stages)}
        self._pack_size = pack_size
        self._needed_by: dict[str, list[str]] = {}
        for stage in self._stages.values():
            if stage.needs is not None:
                self._needed_by.setdefault(stage.needs, []).append(stage.key)
        # kept up to date: a run of thousands of stages asks for them at every event
        self._states: dict[str, StageState] = {}
        self._counts: Counter[tuple[StageState, RunsOn]] = Counter()
        self._running: set[str] = set()
        self._ready: dict[tuple[TrainedStage, RunsOn], list[int]] = {
            (kind, place): [] for kind in get_args(TrainedStage) for place in ANYWHERE
        }
        self._ready_replicas: Counter[tuple[TrainedStage, RunsOn]] = Counter()
        self._order = list(self._stages.values())
        finished = set(done)
        for key, stage in self._stages.items():
            if key in finished:
                self._set(key, StageState.DONE)
            else:
                there = stage.needs is None or stage.needs in finished
                self._set(key, StageState.READY if there else StageState.WAITING)
        missing = {
            stage.needs for stage in self._stages.values() if self._states[stage.key] is StageState.WAITING
        } - self._stages.keys()
        assert not missing, f"stages that others need are not planned: {sorted(map(str, missing))}"

    def _set(self, key: str, state: StageState) -> None:
        before = self._states.get(key)
        stage = self._stages[key]
        place = stage.kind, stage.runs_on
        index, ready = self._index[key], self._ready[place]
        if before is not None:
            self._counts[before, stage.runs_on] -= 1
        if before is StageState.READY:
            del ready[bisect_left(ready, index)]
            self._ready_replicas[place] -= stage.replicas
        elif before is StageState.RUNNING:
            self._running.discard(key)
        self._states[key] = state
        self._counts[state, stage.runs_on] += 1
        if state is StageState.READY:
            insort(ready, index)
            self._ready_replicas[place] += stage.replicas
        elif state is StageState.RUNNING:
            self._running.add(key)

    def stage(self, key: str) -> Stage:
        """The stage of that key."""
        return self._stages[key]

    def state(self, key: str) -> StageState:
        """Where a stage stands."""
        return self._states[key]

    @property
    def counts(self) -> Counter[StageState]:
        """Number of stages in each state."""
        return self.counts_of(ANYWHERE)

    def counts_of(self, places: Places) -> Counter[StageState]:
        """The same of the stages that run in these places."""
        return Counter({state: sum(self._counts[state, place] for place in places) for state in StageState})

    @property
    def running(self) -> frozenset[str]:
        """Keys of the stages that run."""
        return frozenset(self._running)

    @property
    def finished(self) -> bool:
        """Whether nothing is left to run, and nothing runs."""
        return not any(map(self.unfinished, ANYWHERE))

    def unfinished(self, place: RunsOn) -> int:
        """Stages that run in this place and are neither done nor failed, whether ready or not."""
        states = (StageState.WAITING, StageState.READY, StageState.RUNNING)
        return sum(self._counts[state, place] for state in states)

    def upcoming(self, places: Places = ANYWHERE) -> Stage | None:
        """The first stage of the next pack of those that run in these places; None where none is ready."""
        other: TrainedStage = "pretrain" if self._first == "finetune" else "finetune"
        for kind in (self._first, other):
            if heads := [ready[0] for place in places if (ready := self._ready[kind, place])]:
                return self._order[min(heads)]
            if kind == "pretrain" and any(self._ready[kind, place] for place in ANYWHERE):
                return None  # of other places: where pre-training goes first, it does so everywhere
        return None

    def next(self, workers: int, idle: int = 0, places: Places = ANYWHERE) -> tuple[Stage, ...]:
        """The next pack: stages to run together, which count as running from here on; empty where none is ready.

        Ready stages are spread over the workers before packs are filled: a pack that keeps one worker busy while the
        others are idle gains nothing.

        Parameters
        ----------
        workers : int
            How many there are.
        idle : int
            How many of these have neither a running nor a queued task. Without any, the pack is for later, and ready
            stages are shared by all workers.
        places : tuple of str
            Where the stages of these workers run.
        """
        first = self.upcoming(places)
        if first is None:
            return ()
        ready = self._ready[first.kind, first.runs_on]
        at_most = self._pack_size(first)
        if at_most > first.replicas:
            ready_replicas = sum(self._ready_replicas[first.kind, place] for place in places)
            fair = -(-ready_replicas // (idle or workers))
            at_most = min(at_most, fair)
        pack, replicas = [first], first.replicas
        for index in islice(ready, 1, None) if at_most > replicas else ():
            stage = self._order[index]
            if stage.signature != first.signature or not _alike(stage.steps, [member.steps for member in pack]):
                continue
            if replicas + stage.replicas > at_most:
                break
            pack.append(stage)
            replicas += stage.replicas
        for stage in pack:
            self._set(stage.key, StageState.RUNNING)
        return tuple(pack)

    def done(self, key: str) -> None:
        """A stage has succeeded: those that waited for it are ready."""
        self._set(key, StageState.DONE)
        for other in self._needing(key):
            self._set(other, StageState.READY)

    def failed(self, key: str) -> list[str]:
        """A stage has failed; the keys of the stages that fail with it."""
        self._set(key, StageState.FAILED)
        lost = self._needing(key)
        for other in lost:
            self._set(other, StageState.FAILED)
        return lost

    def lacks(self, key: str) -> None:
        """A stage lacks the outcome that it needs, though that was done: that stage runs again first."""
        needs = self._stages[key].needs
        assert needs is not None, f"{key} needs nothing"
        self._set(key, StageState.WAITING)
        if self._states[needs] is StageState.DONE:
            self._set(needs, StageState.READY)

    def _needing(self, key: str) -> list[str]:
        return [other for other in self._needed_by.get(key, ()) if self._states[other] is StageState.WAITING]


def _alike(steps: float, others: list[float]) -> bool:
    """Whether none idles for long when one with so many steps an epoch trains with the others."""
    return min(steps, *others) >= LEAST_STEPS * max(steps, *others)
