"""A Ray head of this machine, with its dashboard and a token, as `ray start --head` makes it."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from processes import end_all

REPOSITORY = Path(__file__).parents[2]
RAY = Path(sys.executable).with_name("ray")
SCMMLAB = f"{sys.executable} -m scmmlab.cli.main"
"""The command line, where the PATH of a head does not have it."""


@dataclass(frozen=True)
class RayHead:
    """A head that runs."""

    address: str
    """Of its dashboard."""
    port: int
    """Of its dashboard."""
    token: str
    """Its token."""

    def environment(self) -> dict[str, str]:
        """Of those who speak with it: nothing of Ray's or a site's from outside, and the token."""
        return clean_environment() | {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": self.token}

    def job(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """`ray job …`."""
        return subprocess.run(
            [RAY, "job", *arguments[:1], "--address", self.address, *arguments[1:]],
            cwd=REPOSITORY,
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=300,
        )


@contextmanager
def ray_head(cpus: int = 2) -> Iterator[RayHead]:
    """A head, which is gone afterwards with all that it started."""
    # the paths of Ray's sockets are to be short
    folder = tempfile.mkdtemp(prefix="ray-", dir="/tmp")
    port, token = free_port(), secrets.token_hex(32)
    found = RayHead(f"http://127.0.0.1:{port}", port, token)
    head = subprocess.Popen(
        [
            RAY, "start", "--head", "--block", f"--num-cpus={cpus}", f"--port={free_port()}",
            f"--dashboard-port={port}", f"--ray-client-server-port={free_port()}",
            f"--dashboard-agent-listen-port={free_port()}", f"--runtime-env-agent-port={free_port()}",
            f"--object-store-memory={200 * 2**20}",
            f"--temp-dir={folder}", "--disable-usage-stats",
        ],
        env=found.environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        wait_for(lambda: head.poll() is not None or found.job("list").returncode == 0)
        assert head.poll() is None, "the head has ended"
        yield found
    finally:
        # asked to end, Ray would wait half a minute for an actor of its Train, which outlives the job
        if head.poll() is None:
            end_all([psutil.Process(head.pid)])
        head.wait()
        shutil.rmtree(folder, ignore_errors=True)


def clean_environment() -> dict[str, str]:
    """This one, without what would lead to another Ray, MLflow or store."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("RAY_", "SCMMLAB_", "MLFLOW_TRACKING"))
    }


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(condition: Callable[[], object], seconds: float = 180) -> None:
    """Wait until `condition` holds."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            pytest.fail("it did not come to pass")
        time.sleep(0.2)
