"""The broker actor: the one place through which the driver, the workers and Tune's trials talk to each other.

It holds the queue with its leases, the events that the driver has not fetched yet, the latest checkpoints of what is
running, and which trainings are to stop. All of it can be lost: the driver has what is worth keeping.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Hashable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
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
from scmmlab.execution.ray.followers import Followers
from scmmlab.execution.ray.messages import ReportReply, TaskAssignment, TrainingUpdate, WorkerCount, WorkerInfo
from scmmlab.execution.ray.task_queue import Loss, LossDecision, TaskQueue, WorkerId
from scmmlab.execution.task import Outcome, Task, losses


@dataclass
class _Worker:
    """A worker that is alive."""

    id: WorkerId
    info: WorkerInfo
    heartbeat: float
    """When it last called."""
    ready: bool = False
    """Whether it has asked for a task; one that still reads its tables does not call."""
    preempted: bool = False
    """Whether its process has received a preemption notice."""
    loss_reported: bool = False
    """Whether the driver knows of its loss."""


@dataclass(frozen=True)
class _UnexplainedDeath:
    """A worker died on a node that does not answer: Ray's table of nodes is to show whether the node is lost."""

    reason: str
    """Of the death, if the node is alive."""
    nodes: tuple[str, ...]
    deadline: float
    """The table shows it by then."""


class Broker:
    """The actor's class; its methods are coroutines, so that any number of callers can wait at a time.

    Parameters
    ----------
    lease_s : float
        Seconds without a heartbeat after which a worker counts as lost. Ray reports a worker's death much sooner; this
        is for workers that it cannot reach.
    node_death_s : float
        Seconds within which Ray's table of nodes shows that a node is dead.
    """

    def __init__(self, lease_s: float = 60.0, node_death_s: float = 75.0):
        self._queue = TaskQueue(lease_s)
        self._check_s = min(1.0, lease_s / 4)
        self._events: list[Event] = []
        self._has_events = asyncio.Event()
        self._checkpoints: dict[tuple[str, str], bytes] = {}
        self._started: dict[str, float] = {}
        self._followers = Followers()
        self._cancelled: set[str] = set()
        self._stopping = False
        self._aborting = False
        self._lease_s = lease_s
        self._workers: dict[str, _Worker] = {}
        self._last_worker_at = time.monotonic()
        self._draining: frozenset[str] = frozenset()
        self._node_death_s = node_death_s
        self._dead_nodes: set[str] = set()
        self._unexplained: dict[str, _UnexplainedDeath] = {}
        self._lost_with_node: set[str] = set()
        self._retired: set[str] = set()
        self._controllers: list[tuple[Any, int]] = []
        self._work = asyncio.Condition()

    # --- for the driver

    async def submit(self, tasks: Sequence[Task], followed: bool = False) -> None:
        """Queue `tasks`; with `followed`, Tune's trials show their trainings."""
        for task in tasks:
            self._checkpoints.update(task.checkpoints)
            self._queue.submit(replace(task, checkpoints={}))
            if followed:
                await self._followers.offer(task.keys)
        await self._wake_workers()

    async def events(self, timeout_s: float) -> list[Event]:
        """What has happened since the last call; waits up to `timeout_s` for something to happen."""
        deadline = time.monotonic() + timeout_s
        while not self._events and (left := deadline - time.monotonic()) > 0:
            self._has_events.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._has_events.wait(), min(left, self._check_s))
            await self._expire()
        events, self._events = self._events, []
        return events

    async def cancel(self, key: str) -> bool:
        """Have the training of `key` stopped at the next epoch that it reports; True where it has not even begun."""
        if self._queue.withdraw(key):
            self._followers.end(key, None)
            return True
        self._cancelled.add(key)
        return False

    async def count_workers(self) -> WorkerCount:
        """How many workers are alive, by their heartbeats and by what Train reports."""
        now = time.monotonic()
        alive = sum(not worker.ready or now - worker.heartbeat <= self._lease_s for worker in self._workers.values())
        if alive:
            self._last_worker_at = now
        return WorkerCount(alive, now - self._last_worker_at)

    async def update_nodes(self, dead: Mapping[str, str], draining: frozenset[str]) -> None:
        """What Ray's table of nodes shows.

        Parameters
        ----------
        dead : mapping of str to str
            Nodes that are lost, with their addresses: each counts as one loss, whatever workers it had.
        draining : frozenset of str
            Nodes that are being drained: their workers save their state and exit.
        """
        for node in dead.keys() - self._dead_nodes:
            self._dead_nodes.add(node)
            await self._lose_node(node, dead[node])
        if draining != self._draining:
            self._draining = draining
            await self._wake_workers()

    async def worker_nodes(self) -> dict[str, tuple[str, ...]]:
        """Names of the workers that have started, and are not known to be lost, with their nodes."""
        return {name: worker.info.nodes for name, worker in self._workers.items()}

    async def retire(self, names: Sequence[str], reason: str) -> None:
        """These workers are being ended together with their trainer: others get their tasks."""
        self._retired.update(names)
        for name in names:
            await self._lose_tasks(name, f"{name}: {reason}", "machine")
            self._forget(name)

    async def controllers(self, group: int) -> list[Any]:
        """Train's controllers that have registered for a group of workers."""
        return [controller for controller, its_group in self._controllers if group == its_group]

    async def stop(self, abort: bool = False) -> None:
        """Stop the workers when they next ask for a task, or (`abort`) in the middle of one."""
        self._stopping = True
        self._aborting = abort
        await self._wake_workers()

    # --- for Train's controllers

    async def register_controller(self, controller: Any, group: int) -> None:
        """A controller is about to start the workers of a group."""
        if (controller, group) not in self._controllers:
            self._controllers.append((controller, group))

    async def kernel_kills(self, name: str) -> list[tuple[str, int | None]]:
        """The counts of a worker's nodes when it started."""
        worker = self._workers.get(name)
        return list(zip(worker.info.nodes, worker.info.kernel_kills, strict=True)) if worker else []

    async def worker_died(self, name: str, kind: LossKind, reason: str, node_answers: bool = True) -> None:
        """The worker of that name is dead.

        Parameters
        ----------
        name : str
            Its name.
        kind, reason
            The cause, as far as its own error tells.
        node_answers : bool
            Whether its node is still there. If not, its tasks go back to the queue at once, and what is counted is
            decided when the table of nodes shows the loss, or has had the time to.
        """
        if name in self._lost_with_node or name in self._retired:
            return
        worker = self._workers.get(name)
        if worker is not None and self._is_preempted(worker):
            kind = "preemption"  # however it ended
        if worker is not None and kind == "crash" and not node_answers:
            await self._lose_tasks(name, f"{name}: its machine does not answer", "machine")
            deadline = time.monotonic() + self._node_death_s
            self._unexplained[name] = _UnexplainedDeath(reason, worker.info.nodes, deadline)
            self._forget(name)
            return
        await self._lose_tasks(name, f"{name}: {reason}", kind)
        if worker is None or not worker.loss_reported:
            self._emit(WorkerLost(name, kind, reason))
        self._forget(name)

    # --- for workers

    async def register_worker(self, worker: WorkerId, info: WorkerInfo) -> None:
        """A worker has started."""
        if worker.name in self._retired:
            return
        self._forget(worker.name)
        self._lost_with_node.discard(worker.name)
        self._workers[worker.name] = _Worker(worker, info, time.monotonic())
        for loss in self._queue.replace_worker(worker):
            await self._handle_loss(loss)

    async def preempt(self, name: str) -> None:
        """The worker of that name has received a preemption notice."""
        if (worker := self._workers.get(name)) is not None:
            worker.preempted = True
            await self._wake_workers()

    async def release(self, worker: WorkerId) -> None:
        """A preempted worker hands its tasks back; its latest checkpoints have been reported."""
        known = self._heartbeat(worker)
        reason = "it received a preemption notice" if known.preempted else "its machine is being drained"
        await self._lose_tasks(worker.name, f"{worker}: {reason}", "preemption")
        if not known.loss_reported:
            self._emit(WorkerLost(worker.name, "preemption", reason))
        known.loss_reported = True

    async def take(self, worker: WorkerId, timeout_s: float) -> TaskAssignment:
        """The next task for `worker`; waits up to `timeout_s` for one."""
        if worker.name in self._retired:
            return TaskAssignment(stop=True)
        for loss in self._queue.replace_worker(worker):
            await self._handle_loss(loss)
        deadline = time.monotonic() + timeout_s
        while not self._stopping:
            if self._is_preempted(self._heartbeat(worker)):
                return TaskAssignment(preempted=True)
            task = self._take(worker)
            if task is not None:
                return TaskAssignment(task)
            left = deadline - time.monotonic()
            if left <= 0:
                return TaskAssignment()
            async with self._work:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._work.wait(), min(left, self._check_s))
            await self._expire()
        self._forget(worker.name)
        return TaskAssignment(stop=True)

    async def take_more(self, worker: WorkerId, fit: Hashable, at_most: int) -> list[Task]:
        """Queued tasks of the same fit as those that a worker with free slots has."""
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
    ) -> ReportReply:
        """Progress of a worker's tasks; without any it is a heartbeat."""
        if worker.name in self._retired:
            return ReportReply(abandon=True, cancelled=frozenset())
        now = time.monotonic()
        preempted = self._is_preempted(self._heartbeat(worker))
        lost = frozenset(task_id for task_id in task_ids if not self._queue.renew(worker, task_id, now))
        if self._aborting or (task_ids and len(lost) == len(task_ids)):
            return ReportReply(abandon=True, cancelled=frozenset())
        if slots is not None:
            self._emit(slots)
        for checkpoint in checkpoints:
            self._checkpoints[checkpoint.key, checkpoint.stage] = checkpoint.data
            self._emit(checkpoint)
        for epoch in epochs:
            self._emit(epoch)
            self._followers.add_epoch(epoch)
        return ReportReply(abandon=False, cancelled=frozenset(self._cancelled), lost=lost, preempted=preempted)

    async def leased(self, task_id: str) -> Task | None:
        """The task of that id, for those who share it with the worker that took it; None where nobody holds it."""
        return self._queue.leased(task_id)

    async def load_checkpoint(self, key: str, stage: str) -> bytes | None:
        """The latest checkpoint of (`key`, `stage`), or None."""
        return self._checkpoints.get((key, stage))

    async def finish(self, worker: WorkerId, task_id: str, outcomes: Sequence[Outcome]) -> None:
        """A task has ended. Outcomes of a worker that has lost its lease are dropped: another has the task."""
        if self._queue.finish(worker, task_id):
            self._end(task_id, outcomes)

    # --- for Tune's trials: see `Followers`

    async def follow(self, follower: str, timeout_s: float) -> str | None:
        """The key of the training that a follower is to show; waits up to `timeout_s` for one."""
        return await self._followers.follow(follower, timeout_s)

    async def update(self, key: str, seen: int, timeout_s: float) -> TrainingUpdate:
        """Epochs of `key` after the first `seen`, and its end; waits up to `timeout_s` for either."""
        return await self._followers.update(key, seen, timeout_s)

    async def unfollow(self, key: str) -> None:
        """Nobody follows `key` any longer."""
        self._followers.unfollow(key)

    async def gather(self, member: str, members: int, timeout_s: float) -> None:
        """Wait, `timeout_s` at most, until so many different members have called this."""
        await self._followers.gather(member, members, timeout_s)

    # --- within

    def _take(self, worker: WorkerId, fit: Hashable | None = None) -> Task | None:
        taken = self._queue.take(worker, time.monotonic(), fit)
        if taken is None:
            return None
        task, attempt = taken
        self._started[task.id] = time.monotonic()
        self._emit(TaskStarted(task.id, task.keys, str(worker), attempt))
        return task

    def _heartbeat(self, worker: WorkerId) -> _Worker:
        """What is known of a worker that has just called."""
        now = self._last_worker_at = time.monotonic()
        known = self._workers.get(worker.name)
        if known is None or known.id != worker:
            known = _Worker(worker, WorkerInfo(), now)
            self._workers.setdefault(worker.name, known)
        known.heartbeat, known.ready = now, True
        return known

    def _is_preempted(self, worker: _Worker) -> bool:
        return worker.preempted or not self._draining.isdisjoint(worker.info.nodes)

    def _forget(self, name: str) -> None:
        if self._workers.pop(name, None) is not None:
            self._last_worker_at = time.monotonic()

    async def _expire(self) -> None:
        now = time.monotonic()
        for loss in self._queue.expire(now):
            await self._handle_loss(loss)
        for name in [name for name, death in self._unexplained.items() if death.deadline < now]:
            self._emit(WorkerLost(name, "crash", self._unexplained.pop(name).reason))

    async def _lose_node(self, node: str, address: str) -> None:
        """One loss, whatever workers it had."""
        workers = [worker for worker in self._workers.values() if node in worker.info.nodes]
        explained = [name for name, death in self._unexplained.items() if node in death.nodes]
        for name in explained:
            del self._unexplained[name]
        kind: LossKind = "preemption" if any(map(self._is_preempted, workers)) else "machine"
        for worker in workers:
            await self._lose_tasks(worker.id.name, f"{worker.id}: its machine was lost", kind)
            self._forget(worker.id.name)
        self._lost_with_node.update(explained, (worker.id.name for worker in workers))
        lost = sorted([*explained, *(worker.id.name for worker in workers if not worker.loss_reported)])
        if lost:
            self._emit(WorkerLost(f"machine {address}", kind, f"{', '.join(lost)} went with it"))

    async def _lose_tasks(self, name: str, reason: str, kind: LossKind) -> None:
        for loss in self._queue.lose_worker(name, reason, kind):
            await self._handle_loss(loss)

    async def _handle_loss(self, loss: Loss) -> None:
        again = loss.decision is not LossDecision.GIVE_UP
        self._emit(TaskLost(loss.task.id, str(loss.worker), loss.reason, again, loss.task.keys))
        if again:
            await self._wake_workers()
        else:
            why = f"its worker was lost {loss.losses} times (the last time: {loss.reason})"
            cause: FailureCause = "out_of_memory" if loss.kind == "out_of_memory" else "lost"
            worker = self._workers.get(loss.worker.name)
            self._end(loss.task.id, losses(loss.task, why, cause, worker.info.log if worker else None))

    def _end(self, task_id: str, outcomes: Sequence[Outcome]) -> None:
        self._emit(TaskEnded(task_id, tuple(outcomes), time.monotonic() - self._started.pop(task_id)))
        keys = {outcome.key for outcome in outcomes}
        for name in [name for name in self._checkpoints if name[0] in keys]:
            del self._checkpoints[name]
        for outcome in outcomes:
            self._cancelled.discard(outcome.key)
            self._followers.end(outcome.key, outcome)

    def _emit(self, event: Event) -> None:
        self._events.append(event)
        self._has_events.set()

    async def _wake_workers(self) -> None:
        async with self._work:
            self._work.notify_all()
