"""The groups of workers that take tasks from the broker: a trainer a machine, so that losing one leaves the others.

Together they form an elastic pool. It starts when there is room for the fewest workers that the study accepts, adds
workers as resources become free or join the cluster, and continues with what is left. Workers that share a cell are a
group of their own on any nodes: it ends as a whole, and is replaced where there is room for another.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol, TypeVar

import ray
from ray.train.torch import TorchTrainer

from scmmlab.execution.ray.cluster_view import all_answer, kill_with_placement_groups
from scmmlab.execution.ray.messages import BrokerHandle, Reference, get
from scmmlab.execution.ray.private import WorkerGroupStartupTimeoutError
from scmmlab.execution.ray.resources import Placement, WorkerPlan, WorkersThere
from scmmlab.execution.ray.task_queue import group_name, worker_name

LOST_TRAINERS = 3
"""Times that a trainer is replaced that was lost itself, not its workers."""
STOP_TIMEOUT_S = 20.0
"""Workers without tasks have so long to end."""

T = TypeVar("T")

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class WorkerGroup:
    """Workers that are started, and end, together."""

    number: int
    """Unique in the run."""
    first: int
    """Number of its first worker; the others count on from it."""
    workers: int
    node: str | None
    """Id of their node; None where they share a cell."""

    @property
    def names(self) -> tuple[str, ...]:
        """Their names at the broker."""
        if self.node is None:
            return (group_name(self.number),)
        return tuple(worker_name(self.first + rank) for rank in range(self.workers))


class WorkerNumbers:
    """Numbers of the groups and workers of a run, unique across all kinds of workers."""

    def __init__(self) -> None:
        self._groups = self._workers = 0

    def group(self, workers: int, node: str | None) -> WorkerGroup:
        """The next group."""
        group = WorkerGroup(self._groups, self._workers, workers, node)
        self._groups, self._workers = self._groups + 1, self._workers + workers
        return group


MakeTrainer = Callable[[WorkerPlan, WorkerGroup], TorchTrainer]


class Ask(Protocol):
    """Waits for an answer of the broker; raises where the run cannot continue."""

    def __call__(self, question: Reference[T]) -> T:
        """The answer."""


class WorkerGroups:
    """The groups of a worker pool whose workers are alike.

    Parameters
    ----------
    broker : BrokerHandle
        Where they take tasks from.
    ask : callable
        See :class:`Ask`.
    preparation : Preparation
        Of what workers are given.
    numbers : WorkerNumbers
        Names them.
    plan : WorkerPlan
        What a worker has, and how many there may be.
    least : int
        Fewest to start with.
    together : int | None
        Workers that share a cell; None where each trains on its own.
    """

    def __init__(
        self,
        broker: BrokerHandle,
        ask: Ask,
        preparation: Preparation,
        numbers: WorkerNumbers,
        plan: WorkerPlan,
        least: int,
        together: int | None,
    ):
        self._broker, self._ask, self._least, self._together = broker, ask, least, together
        self._preparation, self._numbers = preparation, numbers
        self.plan = plan
        """What a worker has, and how many there may be."""
        self._trainings: list[_TrainerThread] = []
        self._ending: list[_TrainerThread] = []
        self._worker_nodes: dict[str, Collection[str]] = {}
        self._draining: Collection[str] = ()
        self._lost_trainers = 0
        self.begun = False
        """Whether any were started."""
        self.ended = False
        """Whether there is nothing left for them."""
        self.error: BaseException | None = None
        """Why no more groups can be started."""

    @property
    def workers(self) -> int:
        """How many there are that stay, including those that are being started."""
        return sum(
            training.group.workers
            for training in self._trainings
            if self._nodes(training.group).isdisjoint(self._draining)
        )

    @property
    def most(self) -> int:
        """How many there may be."""
        return max(self.plan.workers, self.workers)

    @property
    def _there(self) -> Counter[str]:
        there = Counter[str]()
        for training in self._trainings:
            if training.group.node is not None:
                there[training.group.node] += training.group.workers
            else:
                there.update(node for name in training.group.names for node in self._worker_nodes.get(name, ()))
        return there

    @property
    def threads(self) -> Sequence[threading.Thread]:
        """In which trainers run."""
        return [training for training in (*self._trainings, *self._ending) if training.is_alive()]

    @property
    def together(self) -> int:
        """Workers without which nothing can be started."""
        return (self._together or 1) if self.begun else self._least

    def end(self) -> None:
        """End the trainers that have not ended by themselves: what they hold or wait for would block others."""
        for training in (*self._trainings, *self._ending):
            if training.is_alive():
                self._end_trainer(training.group)

    def finish(self) -> None:
        """There is nothing left for them: end them, so that others can have what they hold."""
        self.ended = True
        for training in list(self._trainings):
            self._retire(training, "there are no more tasks of its kind")

    def locate(self, worker_nodes: Mapping[str, Collection[str]], draining: Collection[str]) -> None:
        """Where workers are (name → nodes), and which nodes are being drained."""
        self._worker_nodes |= worker_nodes
        self._draining = draining

    def lose(self, dead: Collection[str]) -> bool:
        """These nodes are lost; whether any group was there."""
        lost = [training for training in self._trainings if not self._nodes(training.group).isdisjoint(dead)]
        for training in lost:
            self._retire(training, "its machine was lost")
        return bool(lost)

    def look_after(self) -> None:
        """Drop groups whose trainer has ended: they are replaced when there is room."""
        # a trainer that had not started when it was to end
        for training in self._ending:
            self._end_trainer(training.group)
        self._ending = [training for training in self._ending if training.is_alive()]
        for training in [training for training in self._trainings if not training.is_alive()]:
            self._retire(training, "its trainer has ended")
            if isinstance(training.error, ray.train.ControllerError | ray.exceptions.RayActorError):
                self._count_trainer(training)
            else:
                self.error = training.error or RuntimeError("its workers have ended")
        self.error = self.error or self._preparation.error

    def state(self, started: Collection[str], tasks: int) -> WorkersThere:
        """Which there are, given the names of workers that have started and the number of tasks that they have."""
        return WorkersThere(
            self.plan,
            0 if self.ended or self.error is not None else tasks,
            self.workers,
            self.together,
            self._together,
            self._there,
            [
                (training.group.node, training.group.workers)
                for training in self._trainings
                if not set(started).issuperset(training.group.names)
            ],
            self.ended,
        )

    def start(self, make: MakeTrainer, groups: Placement) -> None:
        """Start groups of workers."""
        for node, workers in groups:
            self.begun = True
            training = _TrainerThread(make, self.plan, self._numbers.group(workers, node))
            self._trainings.append(training)
            training.start()

    def _retire(self, training: _TrainerThread, reason: str) -> None:
        self._trainings.remove(training)
        self._ending.append(training)
        self._ask(self._broker.retire.remote(training.group.names, reason))
        self._end_trainer(training.group)

    def _count_trainer(self, training: _TrainerThread) -> None:
        assert training.error is not None
        timed_out = isinstance(
            getattr(training.error, "controller_failure", None), WorkerGroupStartupTimeoutError
        )  # others took the resources first
        if timed_out or not all_answer(self._nodes(training.group)):
            return
        self._lost_trainers += 1
        if self._lost_trainers > LOST_TRAINERS:
            self.error = training.error
        _log.warning("Ray Train's controller was lost (%s); it is replaced.", last_line(training.error))

    def _end_trainer(self, group: WorkerGroup) -> None:
        # Train's own cleaner asks the dashboard, which may not answer
        with suppress(ray.exceptions.RayError):
            kill_with_placement_groups(get(self._broker.controllers.remote(group.number), timeout=STOP_TIMEOUT_S))

    def _nodes(self, group: WorkerGroup) -> set[str]:
        if group.node is not None:
            return {group.node}
        return {node for name in group.names for node in self._worker_nodes.get(name, ())}


class Preparation(threading.Thread):
    """Prepares what workers are given (tables), with Ray Data, which waits for a CPU.

    Parameters
    ----------
    prepare : callable
        Does it, which takes a while; returns how the trainer of a group is made.
    """

    def __init__(self, prepare: Callable[[], MakeTrainer]):
        super().__init__(name="scmmlab-tables", daemon=True)
        self._prepare = prepare
        self._made: MakeTrainer | None = None
        self.error: BaseException | None = None

    def result(self) -> MakeTrainer | None:
        """How trainers are made, once that is known; the first call starts the preparation."""
        if self.ident is None:
            self.start()
        return self._made

    def run(self) -> None:
        """Prepare, in a thread of its own."""
        try:
            self._made = self._prepare()
        except BaseException as error:  # for the driver's thread, which decides
            self.error = error


class _TrainerThread(threading.Thread):
    """A running trainer. Train replaces its workers, but not its controller."""

    def __init__(self, make: MakeTrainer, plan: WorkerPlan, group: WorkerGroup):
        super().__init__(name=f"scmmlab-trainer-{group.number}", daemon=True)
        self._make, self._plan, self.group = make, plan, group
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            self._make(self._plan, self.group).fit()
        except BaseException as error:  # for the driver's thread, which decides
            self.error = error


def last_line(error: BaseException | None) -> str:
    """The last line of an error's message."""
    lines = [line.strip() for line in f"{error}".splitlines() if line.strip()]
    return lines[-1] if lines else "no error was given"
