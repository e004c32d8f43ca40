"""The groups of workers that the broker feeds: a trainer for each machine, so that a lost one takes no other along.

The pool that they make is elastic. It begins when there is room for the fewest workers that the study is content with,
takes up what becomes free or joins the cluster, and goes on with what is left. Workers that share a cell are a group of
their own, wherever they are: it ends as a whole, and another takes its place where there is room for it.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import ray
from ray.train.torch import TorchTrainer
from ray.train.v2._internal.exceptions import WorkerGroupStartupTimeoutError

from scmmlab.execution.ray.cluster_view import all_answer, end_for_good
from scmmlab.execution.ray.resources import WorkerPlan, new_groups, room_on
from scmmlab.execution.ray.train_watch import group_name, worker_name

LOST_TRAINERS = 3
"""Times that another trainer takes the place of one that was lost itself, and not its workers."""
STOP_TIMEOUT_S = 20.0
"""Workers that have done their work are given so long to go home."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Group:
    """Workers that are started, and end, together."""

    number: int
    """Unlike that of any other of the run."""
    first: int
    """Number of its first worker; the others count on from it."""
    workers: int
    node: str | None
    """Ray's name of their machine; None where they share a cell."""

    @property
    def names(self) -> tuple[str, ...]:
        """What the broker calls them."""
        if self.node is None:
            return (group_name(self.number),)
        return tuple(worker_name(self.first + rank) for rank in range(self.workers))


MakeTrainer = Callable[[Group], TorchTrainer]
Places = Mapping[str, Collection[str]]
"""Name of a worker that is there → its machines."""


class WorkerGroups:
    """The groups of one crew.

    Parameters
    ----------
    broker : ActorHandle
        Feeds them.
    ask : callable
        What the broker answers to a method with arguments; raises where the run cannot go on.
    prepare : callable
        Gets ready what workers are given (tables), which takes a while; returns how the trainer of a group is made.
    plan : WorkerPlan
        What a worker has, and how many there may be.
    least : int
        There are so many at the beginning, at least.
    together : int | None
        Workers that share a cell; None where each is by itself.
    """

    def __init__(
        self,
        broker: Any,
        ask: Callable[..., Any],
        prepare: Callable[[], MakeTrainer],
        plan: WorkerPlan,
        least: int,
        together: int | None,
    ):
        self._broker, self._ask, self._plan, self._least, self._together = broker, ask, plan, least, together
        self._preparation = _Preparation(prepare)
        self._trainings: list[_Training] = []
        self._ending: list[_Training] = []
        self._places: dict[str, Collection[str]] = {}
        self._draining: Collection[str] = ()
        self._groups = self._workers = self._lost_trainers = 0
        self.error: BaseException | None = None
        """What keeps groups from being started again."""

    @property
    def begun(self) -> bool:
        """Whether any were started."""
        return self._groups > 0

    @property
    def workers(self) -> int:
        """That there are and stay, those that are being started included."""
        return sum(
            training.group.workers
            for training in self._trainings
            if self._nodes(training.group).isdisjoint(self._draining)
        )

    @property
    def threads(self) -> Sequence[threading.Thread]:
        """In which trainers are at work."""
        return [training for training in (*self._trainings, *self._ending) if training.is_alive()]

    @property
    def together(self) -> int:
        """Workers without which nothing can be started."""
        return (self._together or 1) if self.begun else self._least

    def end(self) -> None:
        """End the trainers that have not ended by themselves: what they hold or wait for would be in others' way."""
        for training in (*self._trainings, *self._ending):
            if training.is_alive():
                self._end_trainer(training.group)

    def locate(self, places: Places, draining: Collection[str]) -> None:
        """Where workers are, and which machines are being taken away."""
        self._places |= places
        self._draining = draining

    def lose(self, dead: Collection[str]) -> bool:
        """These machines are gone; whether any group was there."""
        lost = [training for training in self._trainings if not self._nodes(training.group).isdisjoint(dead)]
        for training in lost:
            self._retire(training, "its machine was lost")
        return bool(lost)

    def look_after(self) -> None:
        """Let go of groups whose trainer has ended: another takes its place when there is room."""
        # a trainer that had not come up when it was to end
        for training in self._ending:
            self._end_trainer(training.group)
        self._ending = [training for training in self._ending if training.is_alive()]
        for training in [training for training in self._trainings if not training.is_alive()]:
            self._retire(training, "its trainer has ended")
            if isinstance(training.error, ray.train.ControllerError | ray.exceptions.RayActorError):
                self._count_trainer(training)
            else:
                self.error = training.error or RuntimeError("its workers have gone home")
        self.error = self.error or self._preparation.error

    def grow(self, free: Mapping[str, Mapping[str, float]], there: Collection[str]) -> int:
        """Start workers where there is room.

        Parameters
        ----------
        free : mapping
            Machine → what nobody holds of it.
        there : collection of str
            Workers that have come: what others of theirs will hold is not free.

        Returns
        -------
        int
            How many were started.
        """
        if self.error is not None:
            return 0
        room = room_on(self._plan, free)
        if not self.begun and sum(room.values()) < self._least:
            return 0
        absent = [
            (training.group.node, training.group.workers)
            for training in self._trainings
            if not set(there).issuperset(training.group.names)
        ]
        before, most = self.workers, self._plan.most
        groups = new_groups(room, absent, None if most is None else most - before, self._together)
        make = self._preparation.result() if groups else None
        if make is None:
            return 0
        for node, workers in groups:
            self._start(make, workers, node)
        return self.workers - before

    def _start(self, make: MakeTrainer, workers: int, node: str | None) -> None:
        group = Group(self._groups, self._workers, workers, node)
        self._groups, self._workers = self._groups + 1, self._workers + workers
        training = _Training(make, group)
        self._trainings.append(training)
        training.start()

    def _retire(self, training: _Training, reason: str) -> None:
        self._trainings.remove(training)
        self._ending.append(training)
        self._ask("retire", training.group.names, reason)
        self._end_trainer(training.group)

    def _count_trainer(self, training: _Training) -> None:
        assert training.error is not None
        timed_out = isinstance(
            getattr(training.error, "controller_failure", None), WorkerGroupStartupTimeoutError
        )  # others were faster
        if timed_out or not all_answer(self._nodes(training.group)):
            return
        self._lost_trainers += 1
        if self._lost_trainers > LOST_TRAINERS:
            self.error = training.error
        _log.warning("Ray Train's controller was lost (%s); another takes its place.", last_line(training.error))

    def _end_trainer(self, group: Group) -> None:
        # Train's own cleaner asks the dashboard, which may be silent
        with suppress(ray.exceptions.RayError):
            end_for_good(ray.get(self._broker.trainers.remote(group.number), timeout=STOP_TIMEOUT_S))

    def _nodes(self, group: Group) -> set[str]:
        if group.node is not None:
            return {group.node}
        return {node for name in group.names for node in self._places.get(name, ())}


class _Preparation(threading.Thread):
    """What workers are given, being got ready: with Ray Data, which waits for a CPU."""

    def __init__(self, prepare: Callable[[], MakeTrainer]):
        super().__init__(name="scmmlab-tables", daemon=True)
        self._prepare = prepare
        self._made: MakeTrainer | None = None
        self.error: BaseException | None = None

    def result(self) -> MakeTrainer | None:
        """How trainers are made, once that is known; asked for the first time, it is begun."""
        if self.ident is None:
            self.start()
        return self._made

    def run(self) -> None:
        try:
            self._made = self._prepare()
        except BaseException as error:  # for the driver's thread, which decides
            self.error = error


class _Training(threading.Thread):
    """A trainer at work. Train replaces its workers, but not its controller."""

    def __init__(self, make: MakeTrainer, group: Group):
        super().__init__(name=f"scmmlab-trainer-{group.number}", daemon=True)
        self._make, self.group = make, group
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            self._make(self.group).fit()
        except BaseException as error:  # for the driver's thread, which decides
            self.error = error


def last_line(error: BaseException | None) -> str:
    """What an error says in the end."""
    lines = [line.strip() for line in f"{error}".splitlines() if line.strip()]
    return lines[-1] if lines else "no error was given"
