"""A new SQLite database of MLflow's, there as a whole or not at all.

MLflow makes one by a hundred migrations, some seconds long. One that was cut short by a kill, or by a full disk, can
neither be used nor be finished.
"""

from __future__ import annotations

import os
import sqlite3
import tempfile
import uuid
from contextlib import closing
from pathlib import Path

from scmmlab.tracking.mounts import sqlite_file, sqlite_uri


def make_database(tracking_uri: str) -> None:
    """Make the SQLite database that `tracking_uri` names, where it does so and there is none.

    Parameters
    ----------
    tracking_uri : str
        Of MLflow.

    Raises
    ------
    OSError
        If it cannot be written; nothing of it is there then.
    sqlite3.Error
        If there is one that cannot be read: MLflow would try for minutes.
    """
    file = sqlite_file(tracking_uri)
    if file is None:
        return
    if _is_there(file):
        with closing(sqlite3.connect(file)) as database:
            database.execute("PRAGMA schema_version")
        return
    from mlflow.tracking import MlflowClient

    with tempfile.TemporaryDirectory(prefix="scmmlab-mlflow-", ignore_cleanup_errors=True) as folder:
        new = Path(folder, "mlflow.db")
        MlflowClient(sqlite_uri(new)).search_experiments(max_results=1)
        data = new.read_bytes()
    file.parent.mkdir(parents=True, exist_ok=True)
    beside = file.with_name(f".{file.name}-{uuid.uuid4().hex}")
    try:
        with beside.open("wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        if _is_there(file):  # another was first
            beside.unlink()
        else:
            beside.replace(file)
    except OSError:
        beside.unlink(missing_ok=True)
        raise


def _is_there(file: Path) -> bool:
    # an empty one is what SQLite leaves that was asked, and did not get to write
    return file.exists() and file.stat().st_size > 0
