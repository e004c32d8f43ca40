"""The UI that `scmmlab ui` serves answers on loopback, to its own name, and to no other, and ends with the command."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid

import psutil
import pytest
from mlflow_server import free_port

from scmmlab.tracking import default_tracking_uri, ui_command

# a process that is started in the background ignores some of them, and those who start it have it so
HEEDING_SIGNALS = (sys.executable, "-c", """
import os, signal, sys
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.SIG_DFL)
os.execv(sys.executable, [sys.executable, "-c", *sys.argv[1:]])
""")  # fmt: skip
SERVE = "import sys; from scmmlab.tracking.ui import serve; sys.exit(serve(sys.argv[1:]))"


def running(mark):
    """Processes that have `mark` in their command line."""
    return [
        process
        for process in psutil.process_iter(["cmdline"])
        if any(mark in word for word in process.info["cmdline"] or ()) and process.pid != os.getpid()
    ]


def status(port, path, host=None):
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers={"Host": host} if host else {})
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return None


@pytest.mark.slow
def test_a_page_of_another_site_is_turned_away(tmp_path):
    port = free_port()
    log = (tmp_path / "log").open("wb")
    command = ui_command(default_tracking_uri(tmp_path), port)
    ui = subprocess.Popen([*HEEDING_SIGNALS, SERVE, *command], stdout=log, stderr=log, start_new_session=True)
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
        ui.terminate()
        assert ui.wait(60) == 128 + signal.SIGTERM
        assert not running(str(port)), "MLflow's server and its workers went with it"
        assert status(port, "/health") is None
    finally:
        ui.kill()
        ui.wait()


SERVER = """
import subprocess, sys, time
worker = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)", sys.argv[1]])
print("up", flush=True)
worker.wait()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP, signal.SIGTERM, signal.SIGKILL])
def test_a_servers_processes_are_gone_whatever_ends_the_command(number):
    mark = f"scmmlab-{uuid.uuid4().hex}"
    command = [*HEEDING_SIGNALS, SERVE, sys.executable, "-c", SERVER, mark]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as ui:
        assert ui.stdout is not None
        assert ui.stdout.readline() == b"up\n"
        assert len(running(mark)) == 3, "the command, the server and its worker"
        ui.send_signal(number)
        expected = {signal.SIGINT: 0, signal.SIGKILL: -signal.SIGKILL}
        assert ui.wait(60) == expected.get(number, 128 + number)
        deadline = time.monotonic() + 60
        while running(mark):
            assert time.monotonic() < deadline
            time.sleep(0.1)
