"""A real `mlflow server` on loopback, which can be stopped and started again."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from scmmlab.tracking.ui import MLFLOW_ENVIRONMENT


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class MlflowServer:
    """`mlflow server` over `backend`, its artifacts and its log in `folder`; `ports` are others that lead to it."""

    def __init__(self, folder: Path, backend: str, host: str = "127.0.0.1", ports: tuple[int, ...] = ()):
        self.folder, self.backend, self.host, self.port = folder, backend, host, free_port()
        self._hosts = ",".join(f"{host}:{port}" for port in (self.port, *ports))
        self.uri = f"http://{host}:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [
            *(sys.executable, "-m", "mlflow", "server", "--backend-store-uri", self.backend),
            *("--artifacts-destination", (self.folder / "artifacts").as_uri(), "--workers", "1"),
            *("--host", self.host, "--port", str(self.port)),
            *("--allowed-hosts", self._hosts),
        ]
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                command, env={**os.environ, **MLFLOW_ENVIRONMENT}, stdout=log, stderr=log, start_new_session=True
            )
        deadline = time.monotonic() + 240
        while not self._healthy():
            assert self._process.poll() is None, (self.folder / "server.log").read_text()
            assert time.monotonic() < deadline, (self.folder / "server.log").read_text()
            time.sleep(0.2)

    def stop(self) -> None:
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def __enter__(self) -> MlflowServer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _healthy(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.uri}/health", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False
