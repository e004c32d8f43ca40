"""Memory: how much there is and was used, and how many replicas fit."""

from __future__ import annotations

import ctypes
import os
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import torch

from scmmlab.errors import MemoryShortageError
from scmmlab.replica.replicas import replica_threads


def too_large_alone(key: str, error: BaseException) -> MemoryShortageError:
    """What is said of a training that does not even fit alone."""
    return MemoryShortageError(
        f"There is not enough memory to train {key} alone: {' '.join(str(error).split()) or type(error).__name__}",
        hint="lower its batch size, the views of a window or the width of its network, or give it a larger device.",
    )


@dataclass
class MemoryLimit:
    """How many replicas may train at a time: none more than memory has held, as far as that is known."""

    replicas: int | None = None
    """None as long as memory has not run out."""

    def ran_out(self, replicas: int) -> None:
        """There was no memory for `replicas` at a time: half as many are tried next."""
        half = max(1, replicas // 2)
        self.replicas = half if self.replicas is None else min(self.replicas, half)


class PeakMemory:
    """Measures the most memory that was in use above what was in use when this was made.

    On a GPU, PyTorch's own count; on a CPU, the process's resident memory, whose high-water mark Linux lets a process
    reset. Elsewhere nothing is measured.

    Parameters
    ----------
    device : device or str
        Where.
    """

    def __init__(self, device: torch.device | str):
        self._device = torch.device(device)
        _give_back_freed_memory()
        self._start = self._used()

    def restart(self) -> None:
        """Forget the most so far; what was in use when this was made stays the reference."""
        if self._device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self._device)
        else:
            _give_back_freed_memory()
            with suppress(OSError):
                Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")

    def most(self) -> int | None:
        """Bytes; None where that cannot be measured."""
        if self._device.type == "cuda":
            return max(0, torch.cuda.max_memory_allocated(self._device) - self._start)
        high = _status("VmHWM")
        return None if high is None else max(0, high - self._start)

    def _used(self) -> int:
        if self._device.type == "cuda":
            return int(torch.cuda.memory_allocated(self._device))
        return _status("VmRSS") or 0


def free_memory(device: torch.device | str, share: float = 1.0) -> int | None:
    """Bytes that this process may still take.

    Parameters
    ----------
    device : device or str
        Where.
    share : float
        Of a GPU: the part of it that this process may use. On a CPU a process's part is that of the CPUs whose threads
        it runs.

    Returns
    -------
    int or None
        None where that cannot be told.
    """
    device = torch.device(device)
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int((free + kept) * share)
    own = min(1.0, replica_threads() / (os.cpu_count() or 1))
    limits = [psutil.virtual_memory().available * own]
    if (container := container_memory()) is not None:
        limits.append(container.free * own)
    with suppress(ImportError):  # Windows has no such limits
        import resource

        most, _ = resource.getrlimit(resource.RLIMIT_AS)
        if most != resource.RLIM_INFINITY:
            limits.append(max(0, most - psutil.Process().memory_info().vms))
    return int(min(limits))


def _give_back_freed_memory() -> None:
    """Have the C library return what it keeps for later, which would count as used."""
    with suppress(OSError, AttributeError):  # other C libraries than GNU's have no such function
        ctypes.CDLL(None).malloc_trim(0)


def _status(name: str) -> int | None:
    """A figure of this process in bytes, as Linux gives it: psutil has none of the most memory in use."""
    with suppress(OSError):
        status = Path("/proc/self/status").read_text(encoding="utf-8")
        found = re.search(rf"^{name}:\s+(\d+) kB$", status, re.MULTILINE)
        return 1024 * int(found[1]) if found else None
    return None


@dataclass(frozen=True)
class ContainerMemory:
    """The limit of a container, and what it leaves, in bytes."""

    limit: int
    free: int
    """Page cache that can be dropped counts as free."""


def container_memory(group: Path = Path("/sys/fs/cgroup")) -> ContainerMemory | None:
    """What the container that this process runs in allows (control groups, version 2), which psutil does not look at.

    Parameters
    ----------
    group : Path
        Folder of the control group.

    Returns
    -------
    ContainerMemory or None
        None where there is no limit.
    """
    with suppress(OSError, ValueError):
        limit = int((group / "memory.max").read_text(encoding="utf-8"))
        used = int((group / "memory.current").read_text(encoding="utf-8"))
        cached = None
        with suppress(OSError):
            statistics = (group / "memory.stat").read_text(encoding="utf-8")
            cached = re.search(r"^inactive_file (\d+)$", statistics, re.MULTILINE)
        return ContainerMemory(limit, max(0, limit - used + (int(cached[1]) if cached else 0)))
    return None
