"""The broker actor: the one place through which the driver, the workers and Tune's trials talk to each other.

It holds the queue with its leases, the events that the driver has not fetched yet, the latest checkpoints of what is
running, and which trainings are to stop. All of it can be lost: the driver has what is worth keeping.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Hashable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from scmmlab.errors import FailureCause, LossKind
from scmmlab.execution.events import (
    CheckpointSaved,
    EngineEvent,
    EpochEnded,
    SlotsUsed,
    TaskEnded,
    TaskLost,
    TaskStarted,
    WorkerLost,
)
from scmmlab.execution.ray.followers import Followers
from scmmlab.execution.ray.messages import ReportReply, TaskAssignment, TrainingUpdate, WorkerCount, WorkerInfo
from scmmlab.execution.ray.task_queue import Loss, LossDecision, TaskQueue, WorkerId
from scmmlab.execution.ray.worker_table import WorkerTable
from scmmlab.execution.task import ANYWHERE, Outcome, Places, Task, losses


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
        self._events: list[EngineEvent] = []
        self._has_events = asyncio.Event()
        self._checkpoints: dict[tuple[str, str], bytes] = {}
        self._started: dict[str, float] = {}
        self._followers = Followers()
        self._cancelled: set[str] = set()
        self._stopping = False
        self._aborting = False
        self._workers = WorkerTable(lease_s, node_death_s, time.monotonic())
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

    async def events(self, timeout_s: float) -> list[EngineEvent]:
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
        return self._workers.count(time.monotonic())

    async def update_nodes(self, dead: Mapping[str, str], draining: frozenset[str]) -> None:
        """What Ray's table of nodes shows.

        Parameters
        ----------
        dead : mapping of str to str
            Nodes that are lost, with their addresses: each counts as one loss, whatever workers it had.
        draining : frozenset of str
            Nodes that are being drained: their workers save their state and exit.
        """
        for node in self._workers.new_dead_nodes(dead):
            await self._lose_node(node, dead[node])
        if self._workers.drain(draining):
            await self._wake_workers()

    async def worker_nodes(self) -> dict[str, tuple[str, ...]]:
        """Names of the workers that have started, and are not known to be lost, with their nodes."""
        return self._workers.nodes

    async def retire(self, names: Sequence[str], reason: str) -> None:
        """These workers are being ended together with their trainer: others get their tasks."""
        self._workers.retire(names)
        for name in names:
            await self._lose_tasks(name, f"{name}: {reason}", "machine")
            self._forget(name)
        await self._wake_workers()

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
        if self._workers.is_lost_with_node(name) or self._workers.is_retired(name):
            return
        worker = self._workers.get(name)
        if worker is not None and self._workers.is_preempted(worker):
            kind = "preemption"  # however it ended
        if worker is not None and kind == "crash" and not node_answers:
            await self._lose_tasks(name, f"{name}: its machine does not answer", "machine")
            self._workers.add_unexplained(worker, reason, time.monotonic())
            self._forget(name)
            return
        await self._lose_tasks(name, f"{name}: {reason}", kind)
        if worker is None or not worker.loss_reported:
            self._emit(WorkerLost(name, kind, reason))
        self._forget(name)

    # --- for workers

    async def register_worker(self, worker: WorkerId, info: WorkerInfo) -> None:
        """A worker has started."""
        if self._workers.is_retired(worker.name):
            return
        self._workers.register(worker, info, time.monotonic())
        for loss in self._queue.replace_worker(worker):
            await self._handle_loss(loss)

    async def preempt(self, name: str) -> None:
        """The worker of that name has received a preemption notice."""
        if (worker := self._workers.get(name)) is not None:
            worker.notified = True
            await self._wake_workers()

    async def release(self, worker: WorkerId) -> None:
        """A preempted worker hands its tasks back; its latest checkpoints have been reported."""
        known = self._workers.heartbeat(worker, time.monotonic())
        reason = "it received a preemption notice" if known.notified else "its machine is being drained"
        await self._lose_tasks(worker.name, f"{worker}: {reason}", "preemption")
        if not known.loss_reported:
            self._emit(WorkerLost(worker.name, "preemption", reason))
        known.loss_reported = True

    async def take(self, worker: WorkerId, timeout_s: float, places: Places = ANYWHERE) -> TaskAssignment:
        """The next task for `worker` that runs in these places; waits up to `timeout_s` for one."""
        for loss in self._queue.replace_worker(worker):
            await self._handle_loss(loss)
        deadline = time.monotonic() + timeout_s
        while not self._stopping:
            if self._workers.is_retired(worker.name):
                return TaskAssignment(stop=True)
            if self._workers.is_preempted(self._workers.heartbeat(worker, time.monotonic())):
                return TaskAssignment(preempted=True)
            task = self._take(worker, places=places)
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

    async def take_more(
        self, worker: WorkerId, signature: Hashable, at_most: int, places: Places = ANYWHERE
    ) -> list[Task]:
        """Queued tasks of the same signature as those that a worker with free slots has."""
        taken: list[Task] = []
        while not self._stopping and len(taken) < at_most:
            if (task := self._take(worker, signature, places)) is None:
                break
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
        if self._workers.is_retired(worker.name):
            return ReportReply(abandon=True, cancelled=frozenset())
        now = time.monotonic()
        preempted = self._workers.is_preempted(self._workers.heartbeat(worker, now))
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

    def _take(self, worker: WorkerId, signature: Hashable | None = None, places: Places = ANYWHERE) -> Task | None:
        taken = self._queue.take(worker, time.monotonic(), signature, places)
        if taken is None:
            return None
        task, attempt = taken
        self._started[task.id] = time.monotonic()
        self._emit(TaskStarted(task.id, task.keys, str(worker), attempt))
        return task

    def _forget(self, name: str) -> None:
        self._workers.forget(name, time.monotonic())

    async def _expire(self) -> None:
        now = time.monotonic()
        for loss in self._queue.expire(now):
            await self._handle_loss(loss)
        for name, reason in self._workers.crashed(now):
            self._emit(WorkerLost(name, "crash", reason))

    async def _lose_node(self, node: str, address: str) -> None:
        """One loss, whatever workers it had."""
        workers, explained = self._workers.lose_node(node)
        kind: LossKind = "preemption" if any(map(self._workers.is_preempted, workers)) else "machine"
        for worker in workers:
            await self._lose_tasks(worker.id.name, f"{worker.id}: its machine was lost", kind)
            self._forget(worker.id.name)
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

    def _emit(self, event: EngineEvent) -> None:
        self._events.append(event)
        self._has_events.set()

    async def _wake_workers(self) -> None:
        async with self._work:
            self._work.notify_all()
