"""What an engine reports to the driver, in the order in which it happened."""

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
    """A training has finished an epoch (see ``Reporter.epoch``)."""

    key: str
    stage: str
    epoch: int
    epochs: int
    metrics: dict[str, float]


@dataclass(frozen=True)
class SlotsUsed:
    """Use of a worker's slots over some epochs of its pack."""

    used: int
    """Slot-epochs in which a setting was trained."""
    there: int
    """Slot-epochs in all."""


@dataclass(frozen=True)
class CheckpointSaved:
    """A training can resume from here (see ``Reporter.save_checkpoint``)."""

    key: str
    stage: str
    data: bytes


@dataclass(frozen=True)
class TaskEnded:
    """A task has ended, successfully or not."""

    task_id: str
    outcomes: tuple[Outcome, ...]
    """One a request, in their order."""
    seconds: float
    """How long the worker took."""


@dataclass(frozen=True)
class TaskLost:
    """The worker of a task was lost; the task is retried, or has failed (a TaskEnded follows)."""

    task_id: str
    worker: str
    reason: str
    again: bool
    keys: tuple[str, ...] = ()
    """Of its requests."""

    def __str__(self) -> str:
        return f"{self.reason}; {'its task is retried' if self.again else 'its task has failed'}"


@dataclass(frozen=True)
class WorkerLost:
    """A worker is lost, whether it had a task or not; or a machine, with all workers that it had."""

    worker: str
    """The worker, or the machine."""
    kind: LossKind
    """Why it was lost."""
    reason: str

    def __str__(self) -> str:
        return f"{self.worker} was {'preempted' if self.kind == 'preemption' else 'lost'}: {self.reason}"


@dataclass(frozen=True)
class WorkersChanged:
    """There are more or fewer workers than there were."""

    workers: int
    """How many there are now, including those that are being started."""
    before: int
    most: int
    """How many the study can use."""
    why: str
    noun: str = "worker"
    """What they are called."""

    def __str__(self) -> str:
        more, most = "more are added as resources become free", self._count(self.most)
        if self.workers < self.before:
            return f"{self.why}: {self.workers} of {most} left; {more}."
        if not self.before:
            return f"{self.why}: {self.workers} of {most}; {more}."
        return f"{self.why}: {self._count(self.workers - self.before)} added, {self.workers} of {self.most} in all."

    def _count(self, workers: int) -> str:
        return f"{workers} {self.noun}{'' if workers == 1 else 's'}"


@dataclass(frozen=True)
class TasksWait:
    """Workers of one kind are at work, and leave none of another kind what it needs."""

    noun: str
    """What workers of that other kind are called."""
    lacks: str
    """What is missing."""

    def __str__(self) -> str:
        return (
            f"There is no {self.noun} yet ({self.lacks}): its tasks wait until resources become free, at the latest "
            "when the others have ended."
        )


@dataclass(frozen=True)
class WorkersAwaited:
    """There are tasks, and no worker."""

    lacks: str
    """What is missing."""
    waited_s: float
    limit_s: float
    """How long the run waits in all."""

    def __str__(self) -> str:
        return f"waiting for workers: {self.lacks}; giving up in {max(0.0, self.limit_s - self.waited_s):.0f} s"


EngineEvent = (
    TaskStarted
    | EpochEnded
    | SlotsUsed
    | CheckpointSaved
    | TaskEnded
    | TaskLost
    | WorkerLost
    | TasksWait
    | WorkersAwaited
    | WorkersChanged
)
