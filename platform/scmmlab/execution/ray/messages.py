"""What the broker and those who call it say to each other, and the types of its remote methods."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, ParamSpec, Protocol, TypeVar

import ray

from scmmlab.errors import LossKind
from scmmlab.execution.events import CheckpointSaved, EngineEvent, EpochEnded, SlotsUsed
from scmmlab.execution.ray.task_queue import WorkerId
from scmmlab.execution.task import Outcome, Places, Task

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True)
class WorkerInfo:
    """Where a worker runs."""

    nodes: tuple[str, ...] = ()
    """Id of its node, or of those of all workers of a group."""
    log: str | None = None
    """File of its standard error."""
    kernel_kills: tuple[int | None, ...] = ()
    """Of each node, when the worker started: see the function of that name."""


@dataclass(frozen=True)
class TaskAssignment:
    """The answer to a worker that asks for a task."""

    task: Task | None = None
    """None: nothing yet, ask again."""
    stop: bool = False
    """Whether there will be no more tasks."""
    preempted: bool = False
    """Whether the worker's process or node is being preempted."""


@dataclass(frozen=True)
class ReportReply:
    """The answer to a worker's report."""

    abandon: bool
    """Whether none of its tasks is the worker's any longer, so that it works for nothing."""
    cancelled: frozenset[str]
    """Keys whose training is to stop."""
    lost: frozenset[str] = frozenset()
    """Ids of tasks that are no longer the worker's."""
    preempted: bool = False
    """Whether it is to save its state and exit."""


@dataclass(frozen=True)
class WorkerCount:
    """How many workers are alive."""

    workers: int
    without_s: float
    """Seconds since there was one, or since the start."""


@dataclass(frozen=True)
class TrainingUpdate:
    """What has happened in a training since it was last asked about."""

    epochs: tuple[EpochEnded, ...]
    ended: bool
    outcome: Outcome | None
    """How it ended; None where it was cancelled before it began."""


class Reference(Generic[R]):
    """What a remote call returns at once, for type checkers: Ray's ObjectRef, with the type of its value."""


class RemoteMethod(Protocol[P, R]):
    """A method of an actor, seen through its handle."""

    def remote(self, *args: P.args, **kwargs: P.kwargs) -> Reference[R]:
        """Call it."""


def get(reference: Reference[R], timeout: float | None = None) -> R:
    """The value of a remote call; waits for it."""
    value: R = ray.get(reference, timeout=timeout)
    return value


class BrokerHandle(Protocol):
    """A handle of the broker: see :class:`Broker` for what its methods do."""

    # for the driver
    submit: RemoteMethod[[Sequence[Task], bool], None]
    events: RemoteMethod[[float], list[EngineEvent]]
    cancel: RemoteMethod[[str], bool]
    count_workers: RemoteMethod[[], WorkerCount]
    update_nodes: RemoteMethod[[Mapping[str, str], frozenset[str]], None]
    worker_nodes: RemoteMethod[[], dict[str, tuple[str, ...]]]
    retire: RemoteMethod[[Sequence[str], str], None]
    controllers: RemoteMethod[[int], Sequence[Any]]
    stop: RemoteMethod[[bool], None]
    # for Train's controllers
    register_controller: RemoteMethod[[Any, int], None]
    kernel_kills: RemoteMethod[[str], list[tuple[str, int | None]]]
    worker_died: RemoteMethod[[str, LossKind, str, bool], None]
    # for workers
    register_worker: RemoteMethod[[WorkerId, WorkerInfo], None]
    preempt: RemoteMethod[[str], None]
    release: RemoteMethod[[WorkerId], None]
    take: RemoteMethod[[WorkerId, float, Places], TaskAssignment]
    take_more: RemoteMethod[[WorkerId, Hashable, int, Places], list[Task]]
    report: RemoteMethod[
        [WorkerId, Sequence[str], Sequence[EpochEnded], Sequence[CheckpointSaved], SlotsUsed | None], ReportReply
    ]
    leased: RemoteMethod[[str], Task | None]
    load_checkpoint: RemoteMethod[[str, str], bytes | None]
    finish: RemoteMethod[[WorkerId, str, Sequence[Outcome]], None]
    # for Tune's trials
    follow: RemoteMethod[[str, float], str | None]
    update: RemoteMethod[[str, int, float], TrainingUpdate]
    unfollow: RemoteMethod[[str], None]
    gather: RemoteMethod[[str, int, float], None]
