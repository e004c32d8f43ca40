"""Whether this machine has the cores and the memory that a study asks for."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from scmmlab.config import ResourcesSpec
from scmmlab.doctor.check_result import CheckResult, bad, ok, warn
from scmmlab.errors import ResourceError
from scmmlab.execution.ray.resources import plan_workers
from scmmlab.tables import Manifest
from scmmlab.training.memory import container_memory

GIB = 2**30
RAY_BYTES = GIB
"""Of an idle Ray of our own (measured, rounded up)."""
WORKER_BYTES = 420 * 2**20
"""Of a worker that has its modules (measured: 415 MiB) and no table."""
_FLOAT_BYTES = 4


@dataclass(frozen=True)
class Machine:
    """What this machine lets us use."""

    cores: float
    """CPUs, after affinity and the limits of a container."""
    gpus: int
    """Graphics cards."""
    memory: int
    """Bytes, after the limits of a container."""
    available: int
    """Bytes of these that are not in use."""


def this_machine(groups: Path = Path("/sys/fs/cgroup")) -> Machine:
    """What this machine has, within the limits of the control group at `groups`, which psutil does not look at."""
    import torch

    cores: float = len(os.sched_getaffinity(0))
    quota, _, period = (_text(groups / "cpu.max") or "max").strip().partition(" ")
    if quota.isdecimal() and period.isdecimal():
        cores = min(cores, int(quota) / int(period))
    whole = psutil.virtual_memory()
    memory, available = whole.total, whole.available
    if (container := container_memory(groups)) is not None and container.limit < memory:
        memory, available = container.limit, min(available, container.free)
    return Machine(cores, torch.cuda.device_count(), memory, available)


def table_bytes(tables: Mapping[str, Manifest]) -> int:
    """Bytes of all tables in memory."""
    return sum(table.windows * table.features_per_window * _FLOAT_BYTES for table in tables.values())


def check_resources(
    resources: ResourcesSpec, tables: Mapping[str, Manifest], machine: Machine, cluster: bool
) -> Iterator[CheckResult]:
    """Findings on cores, graphics cards and memory against what a study asks for.

    Parameters
    ----------
    resources : ResourcesSpec
        What it asks for.
    tables : mapping
        Location → manifest of what it reads.
    machine : Machine
        This machine.
    cluster : bool
        Whether the study will run on a cluster, whose machines are looked at when it starts.
    """
    if cluster:
        yield ok("cores", "RAY_ADDRESS names a cluster, which is looked at when a run starts")
        return
    try:
        plan = plan_workers(resources, [{"CPU": machine.cores, "GPU": float(machine.gpus)}])
    except ResourceError as error:
        yield bad("cores", error.message.rstrip("."), error.hint or "")
        return
    yield ok("cores", f"{machine.cores:g} CPUs, {machine.gpus} GPUs; {plan.workers} workers fit")
    needed = RAY_BYTES + plan.workers * (WORKER_BYTES + table_bytes(tables)) + table_bytes(tables)
    found = (
        f"{machine.available / GIB:.1f} of {machine.memory / GIB:.1f} GiB free, "
        f"about {needed / GIB:.1f} GiB needed by {plan.workers} workers"
    )
    mend = "--set resources.workers=…, fewer of them; or a larger machine"
    if needed > machine.memory:
        yield bad("memory", found, mend)
    elif needed > machine.available:
        yield warn("memory", found, mend)
    else:
        yield ok("memory", found)


def _text(file: Path) -> str | None:
    try:
        return file.read_text(encoding="utf-8")
    except OSError:
        return None
