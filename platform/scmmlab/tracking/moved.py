"""Has MLflow's artifacts follow a study's folder that was moved: MLflow writes down where they are for each run."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from scmmlab.tracking.mounts import sqlite_file

_FOLDER = "mlflow-artifacts"
# a run's artifacts are in FOLDER/RUN/artifacts
_RUNS_ELSEWHERE = f"""
    artifact_uri LIKE '%/{_FOLDER}/' || run_uuid || '/artifacts'
    AND artifact_uri <> :here || '/' || run_uuid || '/artifacts'"""
_EXPERIMENTS_ELSEWHERE = f"artifact_location LIKE '%/{_FOLDER}' AND artifact_location <> :here"
_ANYTHING = f"""
    SELECT EXISTS (SELECT 1 FROM runs WHERE {_RUNS_ELSEWHERE})
    OR EXISTS (SELECT 1 FROM experiments WHERE {_EXPERIMENTS_ELSEWHERE})"""
_MOVE_RUNS = f"UPDATE runs SET artifact_uri = :here || '/' || run_uuid || '/artifacts' WHERE {_RUNS_ELSEWHERE}"
_MOVE_EXPERIMENTS = f"UPDATE experiments SET artifact_location = :here WHERE {_EXPERIMENTS_ELSEWHERE}"


def artifact_root(study_folder: Path) -> str:
    """URI of the folder for artifacts beside the database of a study."""
    return (study_folder / _FOLDER).resolve().as_uri()


def bring_artifacts_along(tracking_uri: str) -> None:
    """Have the database of a study look for artifacts beside itself, where it was moved or copied with them.

    Parameters
    ----------
    tracking_uri : str
        Of a SQLite database in its study's folder.

    Raises
    ------
    sqlite3.Error
        If the database cannot be read, or cannot be written though something has moved.
    """
    file = sqlite_file(tracking_uri)
    assert file is not None, "a study's own database is one of SQLite"
    here = {"here": artifact_root(file.parent)}
    with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=rw", timeout=20, uri=True)) as database, database:
        if database.execute(_ANYTHING, here).fetchone() == (1,):  # to write would wait for others that do
            database.execute(_MOVE_RUNS, here)
            database.execute(_MOVE_EXPERIMENTS, here)
