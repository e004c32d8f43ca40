"""Which MLflow a study is recorded in: the one that is named, or the SQLite database of the study."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from scmmlab.errors import SpecError
from scmmlab.study import ResultStore, StudyIdentity, study_identity
from scmmlab.tracking import MlflowTracker, Owner, Tracker, bring_artifacts_along, shown_uri
from scmmlab.tracking.trouble import reason

TRACKING_SCHEMES = ("sqlite", "http", "https", "postgresql", "mysql", "mssql")
"""What MLflow can write to from anywhere; its plain folders are no longer supported."""

Notify = Callable[[str], None]
"""Is given a sentence, for people."""


def check_tracking_uri(uri: str | None) -> None:
    """Refuse with a SpecError what MLflow does not know."""
    if uri and uri != "none" and uri.partition("://")[0].partition("+")[0] not in TRACKING_SCHEMES:
        schemes = ", ".join(TRACKING_SCHEMES)
        raise SpecError(
            f"Invalid value for '--tracking-uri': it must begin with {schemes}, got {shown_uri(uri)!r}.",
            hint="sqlite:////absolute/path/mlflow.db, http://HOST:5000, or none",
        )
    parameters = (uri or "").partition("?")[2]
    if uri and uri.startswith("sqlite") and "/" in parameters:
        raise SpecError(
            f"Invalid value for '--tracking-uri': what follows a '?' is not part of the path, got {uri!r}.",
            hint=f"{uri.replace('?', '%3F')}, if the folder has that name",
        )


def open_tracker(
    uri: str | None, store: ResultStore, name: str, notify: Notify, direct: bool = False
) -> tuple[Tracker, str | None]:
    """The tracker of a study, and where it writes to, for people.

    Parameters
    ----------
    uri : str | None
        Of MLflow; ``none`` for no tracking, None for the study's own database.
    store : ResultStore
        In whose folder of the study its own database is.
    name : str
        Of the study.
    notify : callable
        Is given a sentence on where the study is recorded, or why it is not.
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
    owner = owner_of(store, name, study_identity(store.study_folder(name)))

    def recorded(place: str) -> None:
        notify(f"Recorded in MLflow: {place}")

    if uri:
        return MlflowTracker(uri, direct=direct, owner=owner, notify=recorded), shown_uri(uri)
    folder = store.study_folder(name).local
    if folder is None:  # a database cannot live in an object store
        notify("The store is not a folder on this machine: nothing is recorded in MLflow without --tracking-uri.")
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


def find_artifacts(uri: str, notify: Notify) -> None:
    """Have a study's own database find the artifacts beside it, wherever it was moved to; notify where it cannot."""
    try:
        bring_artifacts_along(uri)
    except sqlite3.Error as error:
        notify(f"The study was moved, and MLflow cannot find its artifacts: {reason(error)}.")
