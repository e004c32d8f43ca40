"""What an engine tells the driver, in the order in which it happened."""

from __future__ import annotations

from dataclasses import dataclass

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

    def __str__(self) -> str:
        return f"{self.reason}; {'its task is run again' if self.again else 'its task is given up'}"


Event = TaskStarted | EpochEnded | SlotsUsed | CheckpointSaved | TaskEnded | TaskLost
