"""A Ray cluster of several nodes on this machine, each of which can be lost with everything that runs on it."""

from __future__ import annotations

import secrets
import subprocess
import tempfile
import time
from pathlib import Path
from shutil import rmtree
from typing import Self

import psutil
from life import named
from ray_head import RAY, clean_environment, free_port

from processes import end_all

MEMORY = 100 * 2**20
LONGEST_S = 180.0


class RayNodes:
    """A head of one CPU, which the driver joins, and nodes beside it; a context.

    Parameters
    ----------
    nodes : int
        Beside the head.
    cpus : int
        Of each of them.
    """

    def __init__(self, nodes: int, cpus: int = 1):
        self._nodes, self._cpus = nodes, cpus
        self._started: dict[int, subprocess.Popen[bytes]] = {}
        self._folder = ""
        self._token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
        self.address = ""

    @property
    def environment(self) -> dict[str, str]:
        """For a driver that is to join, beside its own."""
        return self._token | {"RAY_ADDRESS": self.address}

    def __enter__(self) -> Self:
        # the paths of Ray's sockets are to be short
        self._folder = tempfile.mkdtemp(prefix="ray-", dir="/tmp")
        try:
            self._start_head()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for node in list(self._started):
            self._end(node)
        rmtree(self._folder, ignore_errors=True)

    def add(self) -> None:
        """One more node."""
        self._start(f"--address={self.address}", f"--num-cpus={self._cpus}")

    def lose(self, node: int) -> None:
        """The machine `node` is gone."""
        self._end(node)

    def lose_head(self) -> None:
        """The machine of the head is gone, and what remains without it; others take the place of all of them."""
        for node in list(self._started):
            self._end(node)
        self._start_head()

    def processes(self) -> list[psutil.Process]:
        """Everything that runs on the cluster."""
        return [process for node in self._started for process in self._below(node)]

    def with_workers(self) -> list[int]:
        """Nodes beside the head that hold a worker at the moment."""
        return [node for node, workers in self.workers().items() if workers]

    def workers(self) -> dict[int, int]:
        """Nodes beside the head, with the number of workers that each holds at the moment."""
        (_, *others) = self._started
        return {node: len(named(self._below(node), "ray::RayTrainWorker")) for node in others}

    def _start_head(self) -> None:
        port = free_port()
        self.address = f"127.0.0.1:{port}"
        self._start(
            "--head", "--num-cpus=1", f"--port={port}", "--include-dashboard=false", f"--temp-dir={self._folder}"
        )
        for _ in range(self._nodes):
            self.add()

    def _start(self, *options: str) -> None:
        log = Path(self._folder) / f"start-{len(list(Path(self._folder).glob('start-*')))}"
        with log.open("wb") as stream:
            process = subprocess.Popen(
                [
                    *(RAY, "start", "--block", "--disable-usage-stats", f"--object-store-memory={MEMORY}"),
                    *("--node-ip-address=127.0.0.1", f"--ray-client-server-port={free_port()}"),
                    # any that are free: nodes of one machine would fight for Ray's own choice
                    *(f"--dashboard-agent-listen-port={free_port()}", f"--runtime-env-agent-port={free_port()}"),
                    *("--min-worker-port=0", "--max-worker-port=0"),
                    *options,
                ],
                env=clean_environment() | self._token,
                stdout=stream,
                stderr=stream,
            )
        self._started[process.pid] = process
        deadline = time.monotonic() + LONGEST_S
        while b"Ray runtime started" not in log.read_bytes():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)

    def _end(self, node: int) -> None:
        process = self._started.pop(node)
        end_all({psutil.Process(node), *self._below(node)} if process.poll() is None else set())
        process.wait()

    @staticmethod
    def _below(node: int) -> list[psutil.Process]:
        try:
            return psutil.Process(node).children(recursive=True)
        except psutil.NoSuchProcess:
            return []
