"""What a worker died of, told from the error that Train has of it."""

from __future__ import annotations

import re

import ray
from ray.train.v2._internal.exceptions import WorkerHealthCheckFailedError

from scmmlab.errors import LossKind
from scmmlab.execution.ray.preemption import WorkerPreempted

SUDDEN = "its process ended suddenly"


def death(error: BaseException) -> tuple[LossKind, str]:
    """The kind of a worker's death, and how it is said."""
    if isinstance(error, WorkerHealthCheckFailedError):
        error = error.health_check_failure
    if isinstance(error, WorkerPreempted):
        return "preemption", str(error)
    if isinstance(error, ray.exceptions.OutOfMemoryError):
        return "out_of_memory", f"Ray's memory monitor killed it ({_usage(str(error))})"
    if isinstance(error, ray.exceptions.RayActorError):
        # whether its machine went too is for the table of nodes to say: of that, errors tell what came first
        return ("preemption", "its machine was taken away") if error.preempted else ("crash", SUDDEN)
    text = " ".join(str(error).split())
    return "crash", f"{type(error).__name__}: {text}" if text else type(error).__name__


def _usage(text: str) -> str:
    """Of what the monitor says, how much memory was in use."""
    found = re.search(r"[Mm]emory[^.\n]*?\d[^\n]*?(?=\.\s|\n|$)", text)
    return " ".join((found[0] if found else text).split())[:200]
