"""Processes of other programs: found by what they are called with, held up until they are told to end, and ended."""

from __future__ import annotations

import re
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

import psutil


def process_of(*words: object) -> psutil.Process | None:
    """The Python process whose command line has all these words, where there is one."""
    wanted = {*map(str, words)}
    for process in psutil.process_iter(["cmdline"]):
        found = process.info["cmdline"] or []
        if wanted <= set(found) and "python" in Path(found[0]).name:
            return process
    return None


def told_by(process: psutil.Process, number: int) -> bool:
    """Whether a signal waits for a process that is suspended."""
    pending = re.search(r"ShdPnd:\s*(\w+)", Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8"))
    assert pending is not None
    return bool(int(pending[1], 16) & 1 << (number - 1))


def end_all(processes: Collection[psutil.Process]) -> None:
    """End processes and what they have started since, and wait until they are gone."""
    everyone = set(processes)
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            everyone.update(process.children(recursive=True))
    for process in everyone:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(everyone, timeout=20)
