"""Where a browser finds a study in MLflow."""

from __future__ import annotations

import os

from scmmlab.tracking.owner import Owner
from scmmlab.tracking.ui import MLFLOW_ENVIRONMENT
from scmmlab.tracking.uris import shown_uri

_ONE_TRY = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "20"}


def parent_run_page(tracking_uri: str, study: str, owner: Owner | None = None) -> str | None:
    """Address of the page of a study's parent run.

    Parameters
    ----------
    tracking_uri : str
        Of a server.
    study : str
        Name of the study.
    owner : Owner | None
        Whose it is; where None, only a study that is the only one of its name is found.

    Returns
    -------
    str | None
        None where MLflow is no server, does not answer, or does not know the study (yet).
    """
    if not tracking_uri.startswith(("http://", "https://")):
        return None
    for name, value in {**MLFLOW_ENVIRONMENT, **_ONE_TRY}.items():
        os.environ.setdefault(name, value)
    from mlflow.exceptions import MlflowException
    from mlflow.tracking import MlflowClient

    from scmmlab.tracking.experiments import ROLE, experiment_of

    client = MlflowClient(tracking_uri=tracking_uri)
    try:
        experiment = experiment_of(client, study, owner)
        if experiment is None:
            return None
        runs = client.search_runs([experiment.experiment_id], f"tags.`{ROLE}` = 'study'", max_results=1)
    except (MlflowException, OSError):
        return None
    place = f"{shown_uri(tracking_uri).rstrip('/')}/#/experiments/{experiment.experiment_id}"
    return f"{place}/runs/{runs[0].info.run_id}" if runs else f"{place}/runs"
