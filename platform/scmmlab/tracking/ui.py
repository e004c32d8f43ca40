"""How to open the MLflow UI on a study."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from types import FrameType
from typing import NoReturn

from scmmlab.errors import StoreError
from scmmlab.tracking.new_database import make_database
from scmmlab.tracking.owner import Owner
from scmmlab.tracking.trouble import reason
from scmmlab.tracking.uris import shown_uri

MLFLOW_ENVIRONMENT = {
    # its background thread has raised at exit
    "MLFLOW_DISABLE_TELEMETRY": "true",
    # two processes in place of ten; we have no use for MLflow's job runner
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
}
"""Set wherever MLflow runs."""

_ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_GUARD = """
import os, signal, sys, time
group = int(sys.argv[1])
sys.stdin.read()
try:
    os.killpg(group, signal.SIGTERM)
    for _ in range(50):
        time.sleep(0.1)
        os.killpg(group, 0)
    os.killpg(group, signal.SIGKILL)
except ProcessLookupError:
    pass
"""
"""Ends a group of processes when its standard input ends, which the kernel sees to where its writer was killed."""


_LOOK_S = 0.05


class _Ended(Exception):
    """A signal has told this program to end."""


def study_page(tracking_uri: str, study: str, port: int, owner: Owner | None = None) -> str:
    """Address of the page that lists the runs of a study, once the UI is served on `port`.

    Parameters
    ----------
    tracking_uri : str
        Of the database.
    study : str
        Name of the study; the front page is returned where MLflow does not know it.
    port : int
        TCP port.
    owner : Owner | None
        Whose study it is, where the database has several of that name.

    Raises
    ------
    StoreError
        If MLflow cannot read the database.
    """
    os.environ.update({name: os.environ.get(name, value) for name, value in MLFLOW_ENVIRONMENT.items()})
    from mlflow import MlflowClient

    from scmmlab.tracking.experiments import experiment_of

    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
    try:
        make_database(tracking_uri)
        found = experiment_of(MlflowClient(tracking_uri), study, owner)
    except Exception as error:  # of MLflow, SQLAlchemy, alembic, the database's driver
        raise StoreError(f"MLflow at {shown_uri(tracking_uri)} cannot be shown: {reason(error)}.") from error
    return f"http://127.0.0.1:{port}/" + (f"#/experiments/{found.experiment_id}/runs" if found else "")


def ui_command(tracking_uri: str, port: int) -> list[str]:
    """The command that serves the MLflow UI on loopback.

    Parameters
    ----------
    tracking_uri : str
        Of a database; for a server, its own address is the UI.
    port : int
        TCP port.
    """
    return [
        *(sys.executable, "-m", "mlflow", "server"),
        *("--backend-store-uri", tracking_uri),
        *("--host", "127.0.0.1", "--port", str(port)),
        # a page of another site that resolves its name to this address is turned away
        *("--allowed-hosts", f"127.0.0.1:{port},localhost:{port}"),
        *("--workers", "1"),
    ]


def serve(command: Sequence[str]) -> int:
    """Run a server until it ends or this program is told to: nothing of it is left, whatever ends this program.

    MLflow's server has processes of its own, which a signal to this program, a terminal that is closed, or a signal to
    the first of them would leave running.

    Parameters
    ----------
    command : sequence of str
        Starts the server, as from `ui_command`.

    Returns
    -------
    int
        0 after Ctrl-C, 128 and its number after another signal, else what the server ended with.
    """
    # a process that is started in the background, or by nohup, is to go on ignoring what it ignores
    heeded = [number for number in _ENDINGS if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, _end) for number in heeded}
    ours, the_guards = os.pipe()[::-1]
    server = guard = None
    try:
        server = subprocess.Popen(command, env={**os.environ, **MLFLOW_ENVIRONMENT}, start_new_session=True)
        guard = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _GUARD, str(server.pid)],
            stdin=the_guards,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        return server.wait()
    except _Ended as ended:
        number = int(ended.args[0])
        return 0 if number == signal.SIGINT else 128 + number
    finally:
        for number in heeded:
            signal.signal(number, signal.SIG_IGN)  # the guard does not take longer than its five seconds
        os.close(ours)
        os.close(the_guards)
        if guard is not None and server is not None:
            while guard.poll() is None:
                server.poll()  # until then the kernel counts it among the group's processes
                time.sleep(_LOOK_S)
        elif server is not None:
            os.killpg(server.pid, signal.SIGKILL)
        if server is not None:
            server.wait()
        for number, handler in before.items():
            signal.signal(number, handler)


def _end(number: int, frame: FrameType | None) -> NoReturn:
    raise _Ended(number)
