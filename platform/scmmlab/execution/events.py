"""What an engine tells the driver, in the order in which it happened."""

from __future__ import annotations

from dataclasses import dataclass

from scmmlab.errors import LossKind
from scmmlab.execution.task import Outcome


@dataclass(frozen=True)
class TaskStarted:
    """A worker has taken a task."""

    task_id: str
    keys: tuple[str, ...]
    """Of its requests."""
    worker: str
    attempt: int
    """From 1."""


@dataclass(frozen=True)
class EpochEnded:
    """A training has got on by an epoch (see ``Reporter.epoch``)."""

    key: str
    stage: str
    epoch: int
    epochs: int
    metrics: dict[str, float]


@dataclass(frozen=True)
class SlotsUsed:
    """Slots of a worker over some epochs of its pack."""

    used: int
    """Slot-epochs in which a setting was trained."""
    there: int
    """Slot-epochs in all."""


@dataclass(frozen=True)
class CheckpointSaved:
    """A training can go on from here (see ``Reporter.save_checkpoint``)."""

    key: str
    stage: str
    data: bytes


@dataclass(frozen=True)
class TaskEnded:
    """A task has come to its end, well or not."""

    task_id: str
    outcomes: tuple[Outcome, ...]
    """One a request, in their order."""
    seconds: float
    """How long the worker was at it."""


@dataclass(frozen=True)
class TaskLost:
    """The worker of a task was lost; the task is run again, or has ended with failures (a TaskEnded follows)."""

    task_id: str
    worker: str
    reason: str
    again: bool
    keys: tuple[str, ...] = ()
    """Of its requests."""

    def __str__(self) -> str:
        return f"{self.reason}; {'its task is run again' if self.again else 'its task is given up'}"


@dataclass(frozen=True)
class WorkerLost:
    """A worker is gone, whether it was at a task or not; or a machine, with all workers that it had."""

    worker: str
    """The worker, or the machine."""
    kind: LossKind
    """What it was lost by."""
    reason: str

    def __str__(self) -> str:
        return f"{self.worker} was {'preempted' if self.kind == 'preemption' else 'lost'}: {self.reason}"


@dataclass(frozen=True)
class WorkersChanged:
    """There are more or fewer workers than there were."""

    workers: int
    """That there are now, those that are being started included."""
    before: int
    most: int
    """That the study has use for."""
    why: str

    def __str__(self) -> str:
        later = "what comes, or becomes free, is taken up"
        if self.workers < self.before:
            return f"{self.why}: {_count(self.workers)} of {self.most} left; {later}."
        if not self.before:
            return f"{self.why}: {_count(self.workers)} of {self.most}; {later}."
        return f"{self.why}: {_count(self.workers - self.before)} more, {self.workers} of {self.most} in all."


def _count(workers: int) -> str:
    return f"{workers} worker{'' if workers == 1 else 's'}"


@dataclass(frozen=True)
class WorkersAwaited:
    """There is work, and no worker."""

    lacks: str
    """What is missing."""
    waited_s: float
    limit_s: float
    """How long is waited in all."""

    def __str__(self) -> str:
        return f"waiting for workers: {self.lacks}; gives up in {max(0.0, self.limit_s - self.waited_s):.0f} s"


Event = (
    TaskStarted
    | EpochEnded
    | SlotsUsed
    | CheckpointSaved
    | TaskEnded
    | TaskLost
    | WorkerLost
    | WorkersAwaited
    | WorkersChanged
)
