"""The UI that `scmmlab ui` serves answers on loopback, to its own name, and to no other."""

from __future__ import annotations

import os
import signal
import subprocess
import time
import urllib.error
import urllib.request

import pytest
from mlflow_server import free_port

from scmmlab.tracking import default_tracking_uri, ui_command
from scmmlab.tracking.ui import MLFLOW_ENVIRONMENT

pytestmark = pytest.mark.slow


def status(port, path, host=None):
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers={"Host": host} if host else {})
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return None


def test_a_page_of_another_site_is_turned_away(tmp_path):
    port = free_port()
    log = (tmp_path / "log").open("wb")
    command = ui_command(default_tracking_uri(tmp_path), port)
    ui = subprocess.Popen(
        command, env={**os.environ, **MLFLOW_ENVIRONMENT}, stdout=log, stderr=log, start_new_session=True
    )
    try:
        deadline = time.monotonic() + 240
        while status(port, "/health") != 200:
            assert ui.poll() is None, (tmp_path / "log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.2)
        question = "/api/2.0/mlflow/experiments/search?max_results=1"
        assert status(port, question) == 200
        assert status(port, question, f"localhost:{port}") == 200
        assert status(port, question, "elsewhere.invalid") == 403
        assert status(port, question, f"192.168.1.1:{port}") == 403
        with open("/proc/net/tcp", encoding="utf-8") as table:
            listening = {line.split()[1] for line in table if line.split()[3] == "0A"}
        assert f"0100007F:{port:04X}" in listening
        assert f"00000000:{port:04X}" not in listening
    finally:
        os.killpg(ui.pid, signal.SIGKILL)
        ui.wait()
