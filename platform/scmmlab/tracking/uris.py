"""Addresses of MLflow: which a study writes to, and how they are shown."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

from scmmlab.tracking.mounts import sqlite_uri


def default_tracking_uri(study_folder: Path) -> str:
    """The SQLite database of a study, in its folder."""
    return sqlite_uri(study_folder.resolve() / "mlflow.db")


def shown_uri(uri: str) -> str:
    """`uri` without a password."""
    return re.sub(r"(://[^/@:]*):[^/@]*@", r"\1:***@", uri)


def spool_file(study_folder: Path, uri: str) -> Path:
    """Where events for the MLflow at `uri` wait: a file of its own, as another MLflow knows nothing of them."""
    return study_folder / f"mlflow-waiting-{hashlib.sha256(uri.encode()).hexdigest()[:8]}.jsonl"


def local_folder(store_uri: str, study: str) -> Path:
    """Where events of a study wait whose store is not on this machine: of the user's, as the XDG base directories say.

    Parameters
    ----------
    store_uri : str
        Of the store.
    study : str
        Name of the study.
    """
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state, "scmmlab", f"{study}-{hashlib.sha256(store_uri.encode()).hexdigest()[:8]}")
