"""The kernel's count of processes that it killed for want of memory, in the forms in which kernels give it."""

from __future__ import annotations

from pathlib import Path

import pytest

from scmmlab.execution.ray.kernel_kills import kernel_kills

VERSION_2 = {
    "proc/self/cgroup": "0::/ray\n",
    "sys/fs/cgroup/ray/memory.events": "low 0\nhigh 0\nmax 12\noom 3\noom_kill 2\noom_group_kill 0\n",
}
VERSION_1 = {
    "proc/self/cgroup": "9:name=systemd:/\n4:memory:/ray\n2:cpu,cpuacct:/\n0::/\n",
    "sys/fs/cgroup/memory/ray/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 5\n",
}
MACHINE = {"proc/vmstat": "pgfault 1234\noom_kill 7\n"}


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


@pytest.mark.parametrize(
    ("files", "count"),
    [
        (VERSION_2 | MACHINE, 2),
        (VERSION_1 | MACHINE, 5),
        ({"proc/self/cgroup": "0::/gone\n"} | MACHINE, 7),
        (MACHINE, 7),
        ({"proc/vmstat": "pgfault 1234\n"}, None),
        ({}, None),
    ],
)
def test_nearest_count_is_taken(tmp_path, files, count):
    assert kernel_kills(write(tmp_path, files)) == count
