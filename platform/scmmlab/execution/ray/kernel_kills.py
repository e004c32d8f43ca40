"""How many processes the kernel has killed for lack of memory, to tell such a death from others: Ray cannot."""

from __future__ import annotations

import re
from pathlib import Path


def kernel_kills(root: Path = Path("/")) -> int | None:
    """Processes killed so far by the kernel's out-of-memory killer, near this one.

    In this process's control group where that is counted (version 2, then 1), else on the whole machine.

    Parameters
    ----------
    root : Path
        Where ``proc`` and ``sys`` are.

    Returns
    -------
    int or None
        None where it cannot be read.
    """
    groups = _control_groups(root)
    if "" in groups:
        found = _count(root / "sys/fs/cgroup" / groups[""] / "memory.events")
        if found is not None:
            return found
    if "memory" in groups:
        found = _count(root / "sys/fs/cgroup/memory" / groups["memory"] / "memory.oom_control")
        if found is not None:
            return found
    return _count(root / "proc/vmstat")


def _control_groups(root: Path) -> dict[str, str]:
    """Controller (empty: version 2) → this process's group, without its leading slash."""
    try:
        lines = (root / "proc/self/cgroup").read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return {}
    parts = [line.split(":", 2) for line in lines if line.count(":") >= 2]
    return {name: group.lstrip("/") for _, names, group in parts for name in names.split(",")}


def _count(file: Path) -> int | None:
    try:
        found = re.search(r"^oom_kill (\d+)$", file.read_text(encoding="utf-8"), re.MULTILINE)
    except OSError:
        return None
    return int(found[1]) if found else None
