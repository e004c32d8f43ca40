"""The broker actor: the one place through which the driver, the workers and Tune's trials speak with each other.

It holds the queue with its leases, the events that the driver has not fetched yet, the latest checkpoints of what is
being run, and which trainings are to stop. All of it can be lost: the driver has what is worth keeping.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from scmmlab.errors import FailureCause, LossKind
from scmmlab.execution.events import (
    CheckpointSaved,
    EpochEnded,
    Event,
    SlotsUsed,
    TaskEnded,
    TaskLost,
    TaskStarted,
    WorkerLost,
)
from scmmlab.execution.ray.task_queue import LeaseBook, Loss, LossDecision, WorkerId
from scmmlab.execution.task import Outcome, Task, losses


@dataclass(frozen=True)
class Assignment:
    """What a worker is to do next."""

    task: Task | None = None
    """None: nothing yet, ask again."""
    stop: bool = False
    """Whether there will be no more work."""
    leave: bool = False
    """Whether the worker's process or machine has been told to go."""


@dataclass(frozen=True)
class Orders:
    """What a worker hears when it brings news."""

    abandon: bool
    """Whether none of its tasks is the worker's any more, and whatever it does with them is for nothing."""
    cancelled: frozenset[str]
    """Keys whose training is to stop."""
    lost: frozenset[str] = frozenset()
    """Names of tasks that are no longer the worker's."""
    leave: bool = False
    """Whether it is to save what it is at, and go."""


@dataclass(frozen=True)
class Place:
    """Where a worker is."""

    nodes: tuple[str, ...] = ()
    """Ray's names of its machine, or of those of all workers of a group."""
    log: str | None = None
    """What its process prints goes there."""
    kernel_kills: tuple[int | None, ...] = ()
    """See :func:`kernel_kills`, of each machine when the worker came."""


@dataclass(frozen=True)
class Attendance:
    """Whether there are workers."""

    workers: int
    """That are there."""
    alone_s: float
    """Seconds since there was one, or since the beginning."""


@dataclass
class _Member:
    """A worker that is there."""

    worker: WorkerId
    place: Place
    sign: float
    """When it was heard of last."""
    asked: bool = False
    """Whether it is ready for work; one that reads its tables is silent."""
    going: bool = False
    """Whether it has been told to go."""
    told: bool = False
    """Whether the driver has heard of its loss."""


@dataclass(frozen=True)
class _Doubt:
    """A worker that died on a machine that does not answer: Ray's table of nodes is to say which of the two it was."""

    reason: str
    """Of its death, if the machine lives."""
    nodes: tuple[str, ...]
    deadline: float
    """The table has had the time that it needs by then."""


@dataclass(frozen=True)
class Progress:
    """What became of a request since it was last asked about."""

    epochs: tuple[EpochEnded, ...]
    outcome: Outcome | None
    """How it ended, once it has."""


@dataclass
class _Followed:
    """A request whose progress somebody other than the driver waits for."""

    epochs: list[EpochEnded] = field(default_factory=list)
    outcome: Outcome | None = None


class Broker:
    """The actor's class; its methods are coroutines, so that any number of callers can wait at a time.

    Parameters
    ----------
    lease_s : float
        Seconds without news after which a worker counts as lost. Ray tells of a worker's death much sooner; this is
        for workers that it cannot reach.
    notice_s : float
        Seconds in which Ray's table of nodes shows that a machine is dead.
    """

    def __init__(self, lease_s: float = 60.0, notice_s: float = 75.0):
        self._book = LeaseBook(lease_s)
        self._check_s = min(1.0, lease_s / 4)
        self._events: list[Event] = []
        self._checkpoints: dict[tuple[str, str], bytes] = {}
        self._started: dict[str, float] = {}
        self._followed: dict[str, _Followed] = {}
        self._offers: dict[str, str] = {}
        self._cancelled: set[str] = set()
        self._gathered: set[str] = set()
        self._stopping = False
        self._aborting = False
        self._lease_s = lease_s
        self._members: dict[str, _Member] = {}
        self._attended = time.monotonic()
        self._draining: frozenset[str] = frozenset()
        self._notice_s = notice_s
        self._dead: set[str] = set()
        self._doubts: dict[str, _Doubt] = {}
        self._gone: set[str] = set()
        self._retired: set[str] = set()
        self._trainers: list[tuple[Any, int]] = []
        self._work = asyncio.Condition()
        self._news: dict[str, asyncio.Event] = defaultdict(asyncio.Event)

    # for the driver

    async def submit(self, tasks: Sequence[Task]) -> None:
        """Queue `tasks`."""
        for task in tasks:
            self._checkpoints.update(task.checkpoints)
            self._book.submit(replace(task, checkpoints={}))
        await self._wake_workers()

    async def events(self, timeout_s: float) -> list[Event]:
        """What has happened since the last call; waits up to `timeout_s` for something to happen."""
        deadline = time.monotonic() + timeout_s
        while not self._events:
            left = deadline - time.monotonic()
            if left <= 0:
                break
            await self._wait("", min(left, self._check_s))
            await self._expire()
        events, self._events = self._events, []
        self._news[""].clear()
        return events

    async def offer(self, follower: str, task: Task) -> None:
        """Queue a task of one request, which the tune_trial of that name is to follow."""
        (key,) = task.keys
        self._followed[key] = _Followed()
        self._offers[follower] = key
        self._news[follower].set()
        await self.submit([task])

    async def cancel(self, key: str) -> None:
        """Have the training of `key` stopped at the next epoch that it reports, or not begun."""
        if self._book.withdraw(key):
            return
        self._cancelled.add(key)

    async def attendance(self) -> Attendance:
        """Whether workers are there, by their signs of life and by what Train says."""
        now = time.monotonic()
        members = self._members.values()
        there = sum(not member.asked or now - member.sign <= self._lease_s for member in members)
        if there:
            self._attended = now
        return Attendance(there, now - self._attended)

    async def look(self, dead: Mapping[str, str], draining: frozenset[str]) -> None:
        """What Ray's table of nodes shows.

        Parameters
        ----------
        dead : mapping of str to str
            Machines that are gone, with their addresses: each is one loss, and so are all its workers.
        draining : frozenset of str
            Machines that are being taken away: their workers save what they are at, and go.
        """
        for node in dead.keys() - self._dead:
            self._dead.add(node)
            await self._machine_lost(node, dead[node])
        if draining != self._draining:
            self._draining = draining
            await self._wake_workers()

    async def places(self) -> dict[str, tuple[str, ...]]:
        """Names of the workers that have come, and are not known to have gone, with their machines."""
        return {name: member.place.nodes for name, member in self._members.items()}

    async def retire(self, names: Sequence[str], reason: str) -> None:
        """These workers are being ended with those that live and die with them: others have what they are at."""
        self._retired.update(names)
        for name in names:
            for loss in self._book.lose(name, f"{name}: {reason}", "machine"):
                await self._lost(loss)
            self._forget(name)

    async def trainers(self, group: int | None = None) -> list[Any]:
        """The controllers of Train that have registered: those of a group, or all."""
        return [trainer for trainer, its_group in self._trainers if group in (None, its_group)]

    async def stop(self, abort: bool = False) -> None:
        """Send the workers home when they next ask for work, or (`abort`) away from the work that they are at."""
        self._stopping = True
        self._aborting = abort
        await self._wake_workers()

    # for Train's controllers

    async def register(self, trainer: Any, group: int) -> None:
        """A controller is about to ask for the workers of a group."""
        if (trainer, group) not in self._trainers:
            self._trainers.append((trainer, group))

    async def kernel_kills(self, name: str) -> list[tuple[str, int | None]]:
        """What a worker's machines had counted when it came."""
        member = self._members.get(name)
        return list(zip(member.place.nodes, member.place.kernel_kills, strict=True)) if member else []

    async def died(self, name: str, kind: LossKind, reason: str, answers: bool = True) -> None:
        """The worker of that name is gone.

        Parameters
        ----------
        name : str
            Its name.
        kind, reason
            What it died of, as far as it could be told from itself.
        answers : bool
            Whether its machine is still there. If not, others have its tasks at once, and what is counted is decided
            when the table of nodes shows it, or has had the time to.
        """
        if name in self._gone or name in self._retired:
            return
        member = self._members.get(name)
        if member is not None and self._leaves(member):
            kind = "preemption"  # whatever its end was
        if member is not None and kind == "crash" and not answers:
            for loss in self._book.lose(name, f"{name}: its machine does not answer", "machine"):
                await self._lost(loss)
            self._doubts[name] = _Doubt(reason, member.place.nodes, time.monotonic() + self._notice_s)
            self._forget(name)
            return
        for loss in self._book.lose(name, f"{name}: {reason}", kind):
            await self._lost(loss)
        if member is None or not member.told:
            self._tell(WorkerLost(name, kind, reason))
        self._forget(name)

    # for workers

    async def arrive(self, worker: WorkerId, place: Place) -> None:
        """A worker is there."""
        if worker.name in self._retired:
            return
        self._forget(worker.name)
        self._gone.discard(worker.name)
        self._members[worker.name] = _Member(worker, place, time.monotonic())
        for loss in self._book.succeed(worker):
            await self._lost(loss)

    async def going(self, name: str) -> None:
        """The worker of that name has been told to go."""
        if (member := self._members.get(name)) is not None:
            member.going = True
            await self._wake_workers()

    async def release(self, worker: WorkerId) -> None:
        """A worker that has been told to go hands back what it was at; its latest checkpoints have been reported."""
        member = self._member(worker)
        reason = "it was told to go" if member.going else "its machine is being taken away"
        for loss in self._book.lose(worker.name, f"{worker}: {reason}", "preemption"):
            await self._lost(loss)
        if not member.told:
            self._tell(WorkerLost(worker.name, "preemption", reason))
        member.told = True

    async def take(self, worker: WorkerId, timeout_s: float) -> Assignment:
        """The next task for `worker`; waits up to `timeout_s` for one."""
        if worker.name in self._retired:
            return Assignment(stop=True)
        for loss in self._book.succeed(worker):
            await self._lost(loss)
        deadline = time.monotonic() + timeout_s
        while not self._stopping:
            if self._leaves(self._member(worker)):
                return Assignment(leave=True)
            task = self._take(worker)
            if task is not None:
                return Assignment(task)
            left = deadline - time.monotonic()
            if left <= 0:
                return Assignment()
            async with self._work:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._work.wait(), min(left, self._check_s))
            await self._expire()
        self._forget(worker.name)
        return Assignment(stop=True)

    async def take_more(self, worker: WorkerId, fit: Hashable, at_most: int) -> list[Task]:
        """Tasks for a worker that has free slots, of the same fit as those that it has; none where none is queued."""
        taken: list[Task] = []
        while not self._stopping and len(taken) < at_most and (task := self._take(worker, fit)) is not None:
            taken.append(task)
        return taken

    async def report(
        self,
        worker: WorkerId,
        task_ids: Sequence[str],
        epochs: Sequence[EpochEnded],
        checkpoints: Sequence[CheckpointSaved],
        slots: SlotsUsed | None = None,
    ) -> Orders:
        """News of a worker's tasks; without any it is a sign of life."""
        if worker.name in self._retired:
            return Orders(abandon=True, cancelled=frozenset())
        now = time.monotonic()
        leave = self._leaves(self._member(worker))
        lost = frozenset(task_id for task_id in task_ids if not self._book.renew(worker, task_id, now))
        if self._aborting or (task_ids and len(lost) == len(task_ids)):
            return Orders(abandon=True, cancelled=frozenset())
        if slots is not None:
            self._tell(slots)
        for checkpoint in checkpoints:
            self._checkpoints[checkpoint.key, checkpoint.stage] = checkpoint.data
            self._tell(checkpoint)
        for epoch in epochs:
            self._tell(epoch)
            if epoch.key in self._followed:
                self._followed[epoch.key].epochs.append(epoch)
                self._news[epoch.key].set()
        return Orders(abandon=False, cancelled=frozenset(self._cancelled), lost=lost, leave=leave)

    async def leased(self, task_id: str) -> Task | None:
        """The task of that name, for those who work at it with the one that took it; None where nobody has it."""
        return self._book.leased(task_id)

    async def load_checkpoint(self, key: str, stage: str) -> bytes | None:
        """The latest checkpoint of (`key`, `stage`), or None."""
        return self._checkpoints.get((key, stage))

    async def finish(self, worker: WorkerId, task_id: str, outcomes: Sequence[Outcome]) -> None:
        """A task has ended. Outcomes of a worker that has lost its lease are dropped: another is at the task."""
        if self._book.finish(worker, task_id):
            self._end(task_id, outcomes)

    # for Tune's trials

    async def follow(self, follower: str, timeout_s: float) -> str | None:
        """The key of what the tune_trial of that name is to follow; waits up to `timeout_s` for it to be offered."""
        if follower not in self._offers:
            await self._wait(follower, timeout_s)
        return self._offers.get(follower)

    async def progress(self, key: str, seen: int, timeout_s: float) -> Progress:
        """Epochs of `key` after the first `seen`, and its outcome; waits up to `timeout_s` for either."""
        followed = self._followed[key]
        if len(followed.epochs) <= seen and followed.outcome is None:
            await self._wait(key, timeout_s)
        return Progress(tuple(followed.epochs[seen:]), followed.outcome)

    async def gather(self, member: str, members: int, timeout_s: float) -> None:
        """Wait, `timeout_s` at most, until so many different members have called this."""
        self._gathered.add(member)
        async with self._work:
            self._work.notify_all()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._work.wait_for(lambda: len(self._gathered) >= members), timeout_s)

    async def leave(self, key: str) -> None:
        """Nobody follows `key` any more: its training is for nothing."""
        followed = self._followed.pop(key, None)
        self._news.pop(key, None)
        if followed is not None and followed.outcome is None:
            await self.cancel(key)

    # within

    def _take(self, worker: WorkerId, fit: Hashable | None = None) -> Task | None:
        taken = self._book.take(worker, time.monotonic(), fit)
        if taken is None:
            return None
        task, attempt = taken
        self._started[task.id] = time.monotonic()
        self._tell(TaskStarted(task.id, task.keys, str(worker), attempt))
        return task

    def _member(self, worker: WorkerId) -> _Member:
        """What is known of a worker that has just been heard of."""
        now = self._attended = time.monotonic()
        member = self._members.get(worker.name)
        if member is None or member.worker != worker:
            member = _Member(worker, Place(), now)
            self._members.setdefault(worker.name, member)
        member.sign, member.asked = now, True
        return member

    def _leaves(self, member: _Member) -> bool:
        return member.going or not self._draining.isdisjoint(member.place.nodes)

    def _forget(self, name: str) -> None:
        if self._members.pop(name, None) is not None:
            self._attended = time.monotonic()

    async def _expire(self) -> None:
        now = time.monotonic()
        for loss in self._book.expire(now):
            await self._lost(loss)
        for name in [name for name, doubt in self._doubts.items() if doubt.deadline < now]:
            self._tell(WorkerLost(name, "crash", self._doubts.pop(name).reason))

    async def _machine_lost(self, node: str, address: str) -> None:
        """One loss, whatever was there."""
        members = [member for member in self._members.values() if node in member.place.nodes]
        doubted = [name for name, doubt in self._doubts.items() if node in doubt.nodes]
        for name in doubted:
            del self._doubts[name]
        expected = any(self._leaves(member) for member in members)
        kind: LossKind = "preemption" if expected else "machine"
        for member in members:
            for loss in self._book.lose(member.worker.name, f"{member.worker}: its machine was lost", kind):
                await self._lost(loss)
            self._forget(member.worker.name)
        self._gone.update(doubted, (member.worker.name for member in members))
        lost = sorted([*doubted, *(member.worker.name for member in members if not member.told)])
        if lost:
            self._tell(WorkerLost(f"machine {address}", kind, f"{', '.join(lost)} went with it"))

    async def _lost(self, loss: Loss) -> None:
        again = loss.decision is not LossDecision.GIVE_UP
        self._tell(TaskLost(loss.task.id, str(loss.worker), loss.reason, again, loss.task.keys))
        if again:
            await self._wake_workers()
        else:
            why = f"its worker was lost {loss.losses} times (the last time: {loss.reason})"
            cause: FailureCause = "out_of_memory" if loss.kind == "out_of_memory" else "lost"
            member = self._members.get(loss.worker.name)
            self._end(loss.task.id, losses(loss.task, why, cause, member.place.log if member else None))

    def _end(self, task_id: str, outcomes: Sequence[Outcome]) -> None:
        self._tell(TaskEnded(task_id, tuple(outcomes), time.monotonic() - self._started.pop(task_id)))
        keys = {outcome.key for outcome in outcomes}
        for name in [name for name in self._checkpoints if name[0] in keys]:
            del self._checkpoints[name]
        for outcome in outcomes:
            self._cancelled.discard(outcome.key)
            if outcome.key in self._followed:
                self._followed[outcome.key].outcome = outcome
                self._news[outcome.key].set()

    def _tell(self, event: Event) -> None:
        self._events.append(event)
        self._news[""].set()

    async def _wait(self, key: str, timeout_s: float) -> None:
        """Wait for news of `key`, or of anything (the empty key)."""
        news = self._news[key]
        news.clear()
        with suppress(TimeoutError):
            await asyncio.wait_for(news.wait(), timeout_s)

    async def _wake_workers(self) -> None:
        async with self._work:
            self._work.notify_all()
