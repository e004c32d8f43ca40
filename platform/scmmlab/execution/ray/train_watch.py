"""What Train's controller tells the broker: who has died, and of what. It runs in the controller's process."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import ray
from ray.train.v2._internal.execution.callback import ReplicaGroupCallback, WorkerGroupCallback
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from scmmlab.errors import LossKind
from scmmlab.execution.ray.cluster_view import all_answer
from scmmlab.execution.ray.kernel_kills import kernel_kills
from scmmlab.execution.ray.preemption import watch_for_departure
from scmmlab.execution.ray.worker_failure import SUDDEN, death

if TYPE_CHECKING:
    from ray.train.v2._internal.execution.worker_group import ExecutionGroup, WorkerGroupContext, WorkerGroupPollStatus

LOOK_S = 10.0
"""A machine is asked for its kernel's count for so long."""
SETTLE_S = 1.0
"""What dies with its machine dies at one time, more or less: so long after a worker, its raylet is gone too."""


class TrainWatch(WorkerGroupCallback, ReplicaGroupCallback):
    """Hears of workers' deaths before Train replaces them.

    Parameters
    ----------
    broker : ActorHandle
        Is told.
    group : int
        Number of the workers' group.
    first : int | None
        Number of the group's first worker; None where the workers share a cell, and live and die together.
    """

    def __init__(self, broker: Any, group: int, first: int | None):
        self._broker = broker
        self._group, self._first = group, first
        self._told: set[str] = set()

    def before_worker_group_start(self, worker_group_context: WorkerGroupContext) -> None:
        """Workers are about to be asked for: let the driver know who does so, for the case that it must end it."""
        self._tell("register", ray.get_runtime_context().current_actor, self._group)

    def after_execution_group_start(self, execution_group: ExecutionGroup) -> None:
        """Workers are there: from here on a SIGTERM is a notice to them."""
        execution_group.execute(watch_for_departure)
        for worker in execution_group.get_workers():
            assert worker.distributed_context is not None
            self._told.discard(self._name(worker.distributed_context.world_rank))

    def after_worker_group_poll_status(self, worker_group_status: WorkerGroupPollStatus) -> None:
        """Pass on who has died since they were started."""
        deaths: dict[str, list[tuple[LossKind, str]]] = {}
        for rank, error in worker_group_status.errors.items():
            deaths.setdefault(self._name(rank), []).append(death(error))
        news = {name: _root(found) for name, found in deaths.items() if name not in self._told}
        self._told.update(news)
        if any(kind == "crash" for kind, _ in news.values()):
            time.sleep(SETTLE_S)
        for name, (kind, reason) in news.items():
            counts: list[tuple[str, int | None]] = self._tell("kernel_kills", name) or []
            # those that share a cell with a lost one fail with errors of their own, maybe before it is missed
            answers = kind != "crash" or all_answer([node for node, _ in counts])
            if answers and reason == SUDDEN:
                kind, reason = self._looked_into(counts)
            self._tell("died", name, kind, reason, answers)

    def _name(self, rank: int) -> str:
        return group_name(self._group) if self._first is None else worker_name(self._first + rank)

    def _looked_into(self, counts: list[tuple[str, int | None]]) -> tuple[LossKind, str]:
        """What a sudden death was: the kernel's killer may have been at work."""
        for node, before in counts:
            look = ray.remote(num_cpus=0)(kernel_kills).options(
                scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False)
            )
            with suppress(ray.exceptions.RayError):
                now = ray.get(look.remote(), timeout=LOOK_S)
                if now is not None and before is not None and now > before:
                    return "out_of_memory", "it was killed while its machine's kernel killed for want of memory"
        return "crash", SUDDEN

    def _tell(self, what: str, *about: object) -> Any:
        with suppress(ray.exceptions.RayError):  # without a broker nobody needs to know
            return ray.get(getattr(self._broker, what).remote(*about))
        return None


def worker_name(number: int) -> str:
    """What a worker that is by itself is called."""
    return f"worker {number}"


def group_name(group: int) -> str:
    """What the workers that share a cell are called."""
    return f"group {group}"


def _root(found: list[tuple[LossKind, str]]) -> tuple[LossKind, str]:
    """Of deaths at one time, the one that the others follow from: who loses its peers fails with an error."""
    for kind in ("out_of_memory", "preemption"):
        for one in found:
            if one[0] == kind:
                return one
    return next((one for one in found if one[1] == SUDDEN), found[0])
