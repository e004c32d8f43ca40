"""Which MLflow a command writes to: what `--tracking-uri` names, or the SQLite database of the study."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from scmmlab.errors import SpecError

if TYPE_CHECKING:  # these import pandas and more
    from scmmlab.study import ResultStore, StudyIdentity
    from scmmlab.tracking import Owner, Tracker

TRACKING_SCHEMES = ("sqlite", "http", "https", "postgresql", "mysql", "mssql")
"""What MLflow can write to from anywhere; its plain folders are no longer supported."""


def add_tracking_option(parser: argparse.ArgumentParser) -> None:
    """Add --tracking-uri."""
    parser.add_argument(
        "--tracking-uri",
        metavar="URI",
        help="MLflow server or database, or 'none' (default: SCMMLAB_TRACKING_URI or MLFLOW_TRACKING_URI, else the "
        "site's, else SQLite in the study's folder)",
    )


def check_tracking_uri(uri: str | None) -> None:
    """Refuse with a SpecError what MLflow does not know."""
    if uri and uri != "none" and uri.partition("://")[0].partition("+")[0] not in TRACKING_SCHEMES:
        raise SpecError(
            f"Invalid value for '--tracking-uri': it must begin with {', '.join(TRACKING_SCHEMES)}, got {uri!r}.",
            hint="sqlite:////absolute/path/mlflow.db, http://HOST:5000, or none",
        )
    parameters = (uri or "").partition("?")[2]
    if uri and uri.startswith("sqlite") and "/" in parameters:
        raise SpecError(
            f"Invalid value for '--tracking-uri': what follows a '?' is no part of the path, got {uri!r}.",
            hint=f"{uri.replace('?', '%3F')}, if the folder is called so",
        )


def open_tracker(uri: str | None, store: ResultStore, name: str, direct: bool = False) -> tuple[Tracker, str | None]:
    """The tracker of a study, and where it writes to, for people.

    Parameters
    ----------
    uri : str | None
        What `--tracking-uri` says.
    store : ResultStore
        In whose folder of the study events wait while MLflow is away; in one of the user's where that is elsewhere.
    name : str
        Of the study.
    direct : bool
        See `MlflowTracker`.

    Raises
    ------
    SpecError
        If MLflow knows no such URI.
    StoreError
        If it names a database that must not be used.
    """
    from scmmlab.study import study_identity
    from scmmlab.tracking import MlflowTracker, Tracker, shown_uri, spool_file
    from scmmlab.tracking.uris import local_folder

    if uri == "none":
        return Tracker(), None
    check_tracking_uri(uri)
    folder = store.study_folder(name).local
    owner = owner_of(store, name, study_identity(store.study_folder(name)))
    if uri:
        spool = spool_file(folder or local_folder(store.uri, name), uri)
        return MlflowTracker(uri, spool=spool, direct=direct, owner=owner, tell=_tell), shown_uri(uri)
    if folder is None:  # a database cannot live in an object store
        print("The store is no folder: without --tracking-uri nothing is recorded in MLflow.", file=sys.stderr)
        return Tracker(), None
    tracker = MlflowTracker.in_folder(folder, direct, owner, _tell)
    return tracker, tracker.tracking_uri


def owner_of(store: ResultStore, name: str, identity: StudyIdentity | None) -> Owner | None:
    """The study of a store as MLflow knows it; None where it has no identity."""
    from scmmlab.tracking import Owner

    if identity is None:
        return None

    def ended() -> frozenset[str]:
        return store.keys("cells") | {str(record["key"]) for record in store.study_folder(name).trials().values()}

    return Owner(name, identity.id, identity.former, older=identity.older, ended=ended)


def find_artifacts(uri: str) -> None:
    """Have a study's own database find the artifacts beside it, wherever it was moved to; say so where it cannot."""
    import sqlite3

    from scmmlab.tracking import bring_artifacts_along
    from scmmlab.tracking.trouble import reason

    try:
        bring_artifacts_along(uri)
    except sqlite3.Error as error:
        print(f"Where the study was moved, MLflow does not find its artifacts: {reason(error)}.", file=sys.stderr)


def _tell(place: str) -> None:
    print(f"Recorded in MLflow: {place}", file=sys.stderr, flush=True)
