"""Why a worker died, as Train's controller finds out and reports to the broker. It runs in the controller's process."""

from __future__ import annotations

import re
import time
from contextlib import suppress
from typing import Any, Protocol

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from scmmlab.errors import LossKind
from scmmlab.execution.ray.cluster_view import all_answer
from scmmlab.execution.ray.kernel_kills import kernel_kills
from scmmlab.execution.ray.messages import BrokerHandle, R, Reference, get
from scmmlab.execution.ray.preemption import WorkerPreempted, install_preemption_handler
from scmmlab.execution.ray.private import ReplicaGroupCallback, WorkerGroupCallback, WorkerHealthCheckFailedError
from scmmlab.execution.ray.task_queue import group_name, worker_name

LOOK_S = 10.0
"""A node has so long to answer with its kernel's count."""
SETTLE_S = 1.0
"""What dies with its node dies at about the same time: so long after a worker, its raylet is gone too."""
SUDDEN = "its process died unexpectedly"


class ExecutionGroup(Protocol):
    """What is used of Train's: workers that have started."""

    def execute(self, function: Any) -> Any:
        """Call it in the main thread of each."""

    def get_workers(self) -> list[Any]:
        """The workers, which know their ranks."""


class WorkerGroupStatus(Protocol):
    """What is used of Train's: who has failed."""

    errors: dict[int, BaseException]
    """By rank."""


class WorkerFailureCallback(WorkerGroupCallback, ReplicaGroupCallback):
    """Reports workers' deaths to the broker before Train replaces them.

    Parameters
    ----------
    broker : BrokerHandle
        The broker.
    group : int
        Number of the workers' group.
    first : int | None
        Number of the group's first worker; None where the workers share a cell, and live and die together.
    """

    def __init__(self, broker: BrokerHandle, group: int, first: int | None):
        self._broker = broker
        self._group, self._first = group, first
        self._reported: set[str] = set()

    def before_worker_group_start(self, worker_group_context: Any) -> None:
        """Workers are about to be started: let the driver know by whom, in case it must end this controller."""
        self._ask(self._broker.register_controller.remote(ray.get_runtime_context().current_actor, self._group))

    def after_execution_group_start(self, execution_group: ExecutionGroup) -> None:
        """Workers have started: from here on SIGTERM is a preemption notice to them."""
        execution_group.execute(install_preemption_handler)
        for worker in execution_group.get_workers():
            assert worker.distributed_context is not None
            self._reported.discard(self._name(worker.distributed_context.world_rank))

    def after_worker_group_poll_status(self, worker_group_status: WorkerGroupStatus) -> None:
        """Report who has died since they were started."""
        deaths: dict[str, list[tuple[LossKind, str]]] = {}
        for rank, error in worker_group_status.errors.items():
            deaths.setdefault(self._name(rank), []).append(cause_of_death(error))
        new = {name: _first_cause(causes) for name, causes in deaths.items() if name not in self._reported}
        self._reported.update(new)
        if any(kind == "crash" for kind, _ in new.values()):
            time.sleep(SETTLE_S)
        for name, (kind, reason) in new.items():
            counts = self._ask(self._broker.kernel_kills.remote(name)) or []
            # those that share a cell with a lost one fail with errors of their own, maybe before it is missed
            answers = kind != "crash" or all_answer([node for node, _ in counts])
            if answers and reason == SUDDEN:
                kind, reason = _cause_by_kernel_kills(counts)
            self._ask(self._broker.worker_died.remote(name, kind, reason, answers))

    def _name(self, rank: int) -> str:
        return group_name(self._group) if self._first is None else worker_name(self._first + rank)

    def _ask(self, question: Reference[R]) -> R | None:
        with suppress(ray.exceptions.RayError):  # without a broker nobody needs to know
            return get(question)
        return None


def cause_of_death(error: BaseException) -> tuple[LossKind, str]:
    """The kind of a worker's loss, and the reason in words, from the error that Train has of it."""
    if isinstance(error, WorkerHealthCheckFailedError):
        error = error.health_check_failure
    if isinstance(error, WorkerPreempted):
        return "preemption", str(error)
    if isinstance(error, ray.exceptions.OutOfMemoryError):
        return "out_of_memory", f"Ray's memory monitor killed it ({_usage(str(error))})"
    if isinstance(error, ray.exceptions.RayActorError):
        # whether its node is lost too is for the table of nodes to say: of that, errors tell what came first
        return ("preemption", "its machine was taken away") if error.preempted else ("crash", SUDDEN)
    text = " ".join(str(error).split())
    return "crash", f"{type(error).__name__}: {text}" if text else type(error).__name__


def _usage(text: str) -> str:
    """How much memory was in use, from the monitor's message."""
    found = re.search(r"[Mm]emory[^.\n]*?\d[^\n]*?(?=\.\s|\n|$)", text)
    return " ".join((found[0] if found else text).split())[:200]


def _cause_by_kernel_kills(counts: list[tuple[str, int | None]]) -> tuple[LossKind, str]:
    """What an unexpected death was: the kernel's out-of-memory killer may have been at work."""
    for node, before in counts:
        look = ray.remote(num_cpus=0)(kernel_kills).options(
            scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False)
        )
        with suppress(ray.exceptions.RayError):
            now = ray.get(look.remote(), timeout=LOOK_S)
            if now is not None and before is not None and now > before:
                return "out_of_memory", "it was killed while its machine's kernel killed processes for lack of memory"
    return "crash", SUDDEN


def _first_cause(causes: list[tuple[LossKind, str]]) -> tuple[LossKind, str]:
    """Of deaths at one time, the one that the others follow from: a worker that loses its peers fails with an error."""
    for kind in ("out_of_memory", "preemption"):
        for cause in causes:
            if cause[0] == kind:
                return cause
    return next((cause for cause in causes if cause[1] == SUDDEN), causes[0])
