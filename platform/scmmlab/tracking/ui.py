"""How to open the MLflow UI on a study."""

from __future__ import annotations

import logging
import os
import sys

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
