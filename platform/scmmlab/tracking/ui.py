"""The command that opens MLflow's pages on a study."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from scmmlab.errors import StoreError
from scmmlab.tracking.mlflow_tracker import default_artifact_root, default_tracking_uri

HOST = "127.0.0.1"
"""Nothing outside this machine is served."""


def ui_command(where: str | Path, port: int = 5000) -> tuple[list[str], dict[str, str]]:
    """Command and environment of a local MLflow server.

    Parameters
    ----------
    where : str or Path
        A study's folder (with `mlflow.db`), or a tracking URI of a database.
    port : int
        On the loopback interface.

    Returns
    -------
    list of str, dict
        Arguments, the program first, and the whole environment.

    Raises
    ------
    StoreError
        If the folder has no MLflow data, or the URI is of a server (which has pages of its own).
    """
    text = str(where)
    arguments: list[str] = []
    if text.startswith(("http://", "https://")):
        raise StoreError(f"{text} is a server of its own.", hint="open it in a browser.")
    if "://" in text:
        uri = text
    else:
        folder = Path(where)
        if not (folder / "mlflow.db").is_file():
            raise StoreError(f"There is no MLflow data in {folder}: expected mlflow.db.", hint="run the study first.")
        uri = default_tracking_uri(folder)
        arguments = ["--default-artifact-root", default_artifact_root(folder)]
    command = [
        *(sys.executable, "-m", "mlflow", "server"),
        *("--backend-store-uri", uri),
        *arguments,
        *("--host", HOST, "--port", str(port), "--workers", "1"),
    ]
    # without job execution and with one worker MLflow starts two processes instead of ten
    environment = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    return command, {**os.environ, **environment}
