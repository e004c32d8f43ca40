from __future__ import annotations

import os
from pathlib import Path

import pytest

from scmmlab.tracking import default_tracking_uri


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An MLflow database without a run: making one takes seconds, copying it none."""
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    from mlflow.tracking import MlflowClient

    folder = tmp_path_factory.mktemp("mlflow")
    MlflowClient(default_tracking_uri(folder)).search_experiments()
    return folder / "mlflow.db"
