"""A task: requests that one worker runs together."""

from __future__ import annotations

import traceback
from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from scmmlab.errors import FailureCause
from scmmlab.methods.contract import RunsOn
from scmmlab.training import CellRequest, PretrainRequest, StageFailure, StageKind, StageOutput, SweepRequest
from scmmlab.training.failure_cause import describe, failure_cause
from scmmlab.training.packs import sweep_signature


class AuxiliaryTask(ABC):
    """Work beside the stages of a study, such as a measurement: without tables or checkpoints; nothing is stored."""

    key: str

    @abstractmethod
    def run(self, device: str) -> StageOutput:
        """Run it on the worker's device (``cpu`` or ``cuda``); the driver gets the outcome."""


Places = tuple[RunsOn, ...]
ANYWHERE: Places = ("any", "cpu")
"""Where tasks run; a worker that takes them all takes what runs anywhere."""

Request = PretrainRequest | CellRequest | SweepRequest | AuxiliaryTask
Outcome = StageOutput | StageFailure


@dataclass(frozen=True)
class Task:
    """Requests of one kind that a worker runs together."""

    id: str
    """Unique in the run."""
    requests: Sequence[Request]
    """What is to be done, all of one type."""
    checkpoints: Mapping[tuple[str, str], bytes] = field(default_factory=dict)
    """Checkpoints of an earlier run, by key and stage."""
    pack_size: int | None = None
    """Replicas that the worker trains together, at most; its own setting if None."""
    runs_on: RunsOn = "any"
    """Where the method of its requests computes: `cpu` tasks are for workers without a GPU, where there are any."""

    @property
    def kind(self) -> StageKind:
        """The stage that is run."""
        first = self.requests[0]
        if isinstance(first, PretrainRequest):
            return "pretrain"
        if isinstance(first, CellRequest):
            return "finetune"
        return "sweep" if isinstance(first, SweepRequest) else "auxiliary"

    @property
    def keys(self) -> tuple[str, ...]:
        """Keys of the requests."""
        return tuple(request.key for request in self.requests)

    @property
    def signature(self) -> Hashable | None:
        """Equal for tasks that can share a pack from any epoch on: settings of a sweep; None for others."""
        (first, *others) = self.requests
        return sweep_signature(first) if isinstance(first, SweepRequest) and not others else None

    def halves(self) -> tuple[Task, Task]:
        """Two tasks with half of the requests each."""
        middle = len(self.requests) // 2
        return (
            replace(self, id=f"{self.id}a", requests=self.requests[:middle]),
            replace(self, id=f"{self.id}b", requests=self.requests[middle:]),
        )


def failures(task: Task, error: Exception) -> list[Outcome]:
    """`error` as the outcome of each request of `task`."""
    trace = "".join(traceback.format_exception(error))
    return [StageFailure(key, task.kind, describe(error), trace, failure_cause(error)) for key in task.keys]


def losses(task: Task, error: str, cause: FailureCause, log: str | None) -> list[Outcome]:
    """The loss of its workers as the outcome of each request of `task`."""
    return [StageFailure(key, task.kind, error, "", cause, log) for key in task.keys]
