"""Which MLflow a study is recorded in: the one that is named, or the SQLite database of the study."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from scmmlab.errors import SpecError
from scmmlab.study import ResultStore, StudyIdentity, study_identity
from scmmlab.tracking import MlflowTracker, Owner, Tracker, bring_artifacts_along, shown_uri, spool_file
from scmmlab.tracking.trouble import reason
from scmmlab.tracking.uris import local_folder

TRACKING_SCHEMES = ("sqlite", "http", "https", "postgresql", "mysql", "mssql")
"""What MLflow can write to from anywhere; its plain folders are no longer supported."""

Tell = Callable[[str], None]
"""Is given a sentence, for people."""


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


def open_tracker(
    uri: str | None, store: ResultStore, name: str, tell: Tell, direct: bool = False
) -> tuple[Tracker, str | None]:
    """The tracker of a study, and where it writes to, for people.

    Parameters
    ----------
    uri : str | None
        Of MLflow; ``none`` for no tracking, None for the study's own database.
    store : ResultStore
        In whose folder of the study events wait while MLflow is away; in one of the user's where that is elsewhere.
    name : str
        Of the study.
    tell : callable
        Is told where the study is recorded, or why nowhere.
    direct : bool
        See `MlflowTracker`.

    Raises
    ------
    SpecError
        If MLflow knows no such URI.
    StoreError
        If it names a database that must not be used.
    """
    if uri == "none":
        return Tracker(), None
    check_tracking_uri(uri)
    folder = store.study_folder(name).local
    owner = owner_of(store, name, study_identity(store.study_folder(name)))

    def recorded(place: str) -> None:
        tell(f"Recorded in MLflow: {place}")

    if uri:
        spool = spool_file(folder or local_folder(store.uri, name), uri)
        return MlflowTracker(uri, spool=spool, direct=direct, owner=owner, tell=recorded), shown_uri(uri)
    if folder is None:  # a database cannot live in an object store
        tell("The store is no folder: without --tracking-uri nothing is recorded in MLflow.")
        return Tracker(), None
    tracker = MlflowTracker.in_folder(folder, direct, owner, recorded)
    return tracker, tracker.tracking_uri


def owner_of(store: ResultStore, name: str, identity: StudyIdentity | None) -> Owner | None:
    """The study of a store as MLflow knows it; None where it has no identity."""
    if identity is None:
        return None

    def ended() -> frozenset[str]:
        return store.keys("cells") | {str(record["key"]) for record in store.study_folder(name).trials().values()}

    return Owner(name, identity.id, identity.former, older=identity.older, ended=ended)


def find_artifacts(uri: str, tell: Tell) -> None:
    """Have a study's own database find the artifacts beside it, wherever it was moved to; say so where it cannot."""
    try:
        bring_artifacts_along(uri)
    except sqlite3.Error as error:
        tell(f"Where the study was moved, MLflow does not find its artifacts: {reason(error)}.")
