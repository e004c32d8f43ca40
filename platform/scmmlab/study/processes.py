"""Processes as a claim names them: so that another process on this machine can tell whether one is still there.

A name tells nothing to people: the machine is a hash of the identity of its last start.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
# of /proc/PID/stat, counted behind the name in brackets, which may hold blanks
_STATE, _STARTED = 0, 19


@dataclass(frozen=True)
class ProcessName:
    """A process, told apart from all others of its machine since that was started."""

    machine: str
    """Hash of the machine's start and of the namespace that the number is valid in."""
    number: int
    """Its PID."""
    started: int
    """When, in ticks since the machine's start: a number may be given again."""


def this_process() -> ProcessName | None:
    """The process that asks; None where the system does not tell (there is no /proc)."""
    machine, started = _machine(), _started(os.getpid())
    return None if machine is None or started is None else ProcessName(machine, os.getpid(), started)


def is_there(process: ProcessName | None) -> bool | None:
    """Whether `process` still runs; None where this cannot be told, as of a process on another machine."""
    machine = _machine()
    if process is None or machine is None or process.machine != machine:
        return None
    return _started(process.number) == process.started


def _machine() -> str | None:
    try:
        start = (_PROC / "sys/kernel/random/boot_id").read_text(encoding="utf-8")
        namespace = os.readlink(_PROC / "self/ns/pid")
    except OSError:
        return None
    return hashlib.sha256(f"{start}{namespace}".encode()).hexdigest()[:16]


def _started(number: int) -> int | None:
    try:
        fields = (_PROC / str(number) / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[_STATE] in "ZX" else int(fields[_STARTED])
