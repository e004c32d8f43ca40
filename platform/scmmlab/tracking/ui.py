"""How to open the MLflow UI on a study."""

from __future__ import annotations

import sys
from pathlib import Path

MLFLOW_ENVIRONMENT = {
    # its background thread has raised at exit
    "MLFLOW_DISABLE_TELEMETRY": "true",
    # two processes in place of ten; we have no use for MLflow's job runner
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
}
"""Set wherever MLflow runs."""


def default_tracking_uri(study_folder: Path) -> str:
    """The SQLite database of a study, in its folder."""
    return f"sqlite:///{study_folder.resolve() / 'mlflow.db'}"


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
        *("--workers", "1"),
    ]
