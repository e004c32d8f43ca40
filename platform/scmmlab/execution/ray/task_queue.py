"""The queue of tasks, the leases on those that are running, and what becomes of the tasks of lost workers.

Pure: time is an argument. A killed worker's task goes back to the queue in :meth:`TaskQueue._lose`. The lifecycle of a
task::

    submit            take                finish
    ------> QUEUED ---------> LEASED ---------------> (gone)
              ^                 |
              |     RUN_AGAIN   |  its lease expires, or its worker died or was replaced
              +-----------------+
              |     HALVE       |  after `attempts` losses a pack is split: one of its requests may be to blame
              +-----------------+
              |     RUN_AGAIN   |  its worker was preempted, which is not the task's fault and does not count
              +-----------------+
              |     RUN_AGAIN   |  its node was lost or cut off, hardly its fault: counted apart, more retries
              +-----------------+
                                |  GIVE_UP after as many losses of a single request
                                +--------------------------------> (gone)
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Hashable
from dataclasses import dataclass
from enum import Enum

from scmmlab.errors import LossKind
from scmmlab.execution.task import ANYWHERE, Places, Task


@dataclass(frozen=True)
class WorkerId:
    """A worker, and which incarnation of it."""

    name: str
    """Kept by the worker that replaces it."""
    incarnation: str
    """Differs between a worker and its replacement."""

    def __str__(self) -> str:
        return self.name


def worker_name(number: int) -> str:
    """Name of a worker that trains on its own."""
    return f"worker {number}"


def group_name(number: int) -> str:
    """Name of workers that share a cell."""
    return f"group {number}"


class LossDecision(Enum):
    """What becomes of a task whose worker was lost."""

    RUN_AGAIN = "run again"
    HALVE = "halve"
    GIVE_UP = "give up"


@dataclass(frozen=True)
class Loss:
    """A worker was lost while it held a task."""

    task: Task
    worker: WorkerId
    reason: str
    decision: LossDecision
    losses: int
    """How often this task's worker was lost, alone or with its node; preemptions aside."""
    kind: LossKind = "crash"
    """What the worker was lost by."""


@dataclass
class _Lease:
    task: Task
    worker: WorkerId
    expires: float


class TaskQueue:
    """The queue of tasks and the leases on those that are running.

    Parameters
    ----------
    lease_s : float
        Seconds without a heartbeat after which a worker counts as lost.
    attempts : int
        Losses of one task after which it is no longer simply run again.
    machine_attempts : int
        The same for losses together with a node, and for missed heartbeats.
    """

    def __init__(self, lease_s: float = 60.0, attempts: int = 2, machine_attempts: int = 5):
        self._lease_s = lease_s
        self._attempts, self._machine_attempts = attempts, machine_attempts
        self._queued: deque[Task] = deque()
        self._leases: dict[str, _Lease] = {}
        self._losses: Counter[str] = Counter()
        self._machine_losses: Counter[str] = Counter()

    def submit(self, task: Task) -> None:
        """Put `task` at the end of the queue."""
        self._queued.append(task)

    def take(
        self, worker: WorkerId, now: float, signature: Hashable | None = None, places: Places = ANYWHERE
    ) -> tuple[Task, int] | None:
        """The next task that runs in these places (with `signature`, the next that has the same) and the number of this
        attempt at it.

        None where there is no such task in the queue.
        """
        fitting = (task for task in self._queued if task.runs_on in places)
        task = next((task for task in fitting if signature is None or task.signature == signature), None)
        if task is None:
            return None
        self._queued.remove(task)
        self._leases[task.id] = _Lease(task, worker, now + self._lease_s)
        return task, self._losses[task.id] + self._machine_losses[task.id] + 1

    def leased(self, task_id: str) -> Task | None:
        """The task of that id, where a worker holds it."""
        lease = self._leases.get(task_id)
        return None if lease is None else lease.task

    def renew(self, worker: WorkerId, task_id: str, now: float) -> bool:
        """A heartbeat of `worker`; False where the task is no longer its own."""
        lease = self._leases.get(task_id)
        if lease is None or lease.worker != worker:
            return False
        lease.expires = now + self._lease_s
        return True

    def finish(self, worker: WorkerId, task_id: str) -> bool:
        """The task is done; False where it is no longer this worker's, whose results then do not count."""
        lease = self._leases.get(task_id)
        if lease is None or lease.worker != worker:
            return False
        del self._leases[task_id]
        return True

    def replace_worker(self, worker: WorkerId) -> list[Loss]:
        """A new incarnation of a worker has started: the tasks of earlier ones are lost."""
        earlier = [
            lease for lease in self._leases.values() if lease.worker.name == worker.name and lease.worker != worker
        ]
        return [self._lose(lease, f"{lease.worker} died") for lease in earlier]

    def lose_worker(self, name: str, reason: str, kind: LossKind = "crash") -> list[Loss]:
        """The worker of that name is lost: its tasks go back to the queue, or are given up."""
        held = [lease for lease in self._leases.values() if lease.worker.name == name]
        return [self._lose(lease, reason, kind) for lease in held]

    def expire(self, now: float) -> list[Loss]:
        """Workers whose leases have expired are lost."""
        silent = [lease for lease in self._leases.values() if lease.expires < now]
        # cut off, as with its node: a worker renews its lease whatever it trains
        return [
            self._lose(lease, f"{lease.worker} missed its heartbeat for {self._lease_s:g} s", "machine")
            for lease in silent
        ]

    def withdraw(self, key: str) -> bool:
        """Take the task of one request with this `key` out of the queue; False where it is not there."""
        for task in self._queued:
            if task.keys == (key,):
                self._queued.remove(task)
                return True
        return False

    @property
    def idle(self) -> bool:
        """Whether nothing is queued or running."""
        return not self._queued and not self._leases

    def _lose(self, lease: _Lease, reason: str, kind: LossKind = "crash") -> Loss:
        task = lease.task
        del self._leases[task.id]
        if kind == "machine":
            self._machine_losses[task.id] += 1
        elif kind != "preemption":
            self._losses[task.id] += 1
        alone, with_machine = self._losses[task.id], self._machine_losses[task.id]
        if kind == "preemption" or (alone < self._attempts and with_machine < self._machine_attempts):
            decision = LossDecision.RUN_AGAIN
            self._queued.appendleft(task)
        elif len(task.requests) > 1:
            decision = LossDecision.HALVE
            for half in reversed(task.halves()):
                self._queued.appendleft(half)
        else:
            decision = LossDecision.GIVE_UP
        return Loss(task, lease.worker, reason, decision, alone + with_machine, kind)
