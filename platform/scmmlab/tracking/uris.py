"""Addresses of MLflow: which a study writes to, and how they are shown."""

from __future__ import annotations

import re
from pathlib import Path

from scmmlab.tracking.mounts import sqlite_uri


def default_tracking_uri(study_folder: Path) -> str:
    """The SQLite database of a study, in its folder."""
    return sqlite_uri(study_folder.resolve() / "mlflow.db")


def shown_uri(uri: str) -> str:
    """`uri`, or a text with URIs in it, without passwords."""
    uri = re.sub(r"(://[^/@:]*):[^/@]*@", r"\1:***@", uri)
    return re.sub(r"([?&]\w*password=)[^&\s]*", r"\1***", uri, flags=re.IGNORECASE)
