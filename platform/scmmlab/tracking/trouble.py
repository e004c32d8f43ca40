"""What is wrong with MLflow, in one phrase, from what it raises: its own messages are traces and SQL."""

from __future__ import annotations

import re

from scmmlab.errors import first_line
from scmmlab.tracking.uris import shown_uri

_LONGEST = 200
_KNOWN = tuple(
    (re.compile(pattern, re.IGNORECASE), meaning)
    for pattern, meaning in (
        (r"database or disk is full", "the disk of its database is full"),
        (r"readonly database", "its database cannot be written: it, or its file system, is read-only"),
        (r"database (table )?is locked", "its database is locked by another program"),
        (r"file is not a database|disk image is malformed", "its database is damaged, or not a SQLite database"),
        (r"unable to open database file", "its database cannot be opened: a folder is missing, or may not be accessed"),
        (
            r"out-of-date database schema \(found version (?P<found>\w+), but expected (?P<expected>\w+)\)",
            r"its database is of another version of MLflow (schema \g<found>, this one has \g<expected>); "
            r"'mlflow db upgrade' upgrades an older one",
        ),
        (
            r"Can't locate revision identified by '(?P<found>\w+)'",
            r"its database is of a newer version of MLflow (schema \g<found>, which this one does not know)",
        ),
    )
)


def reason(error: BaseException) -> str:
    """Why MLflow does not do what it is asked, as the end of a sentence."""
    text = str(error).strip()
    for pattern, meaning in _KNOWN:
        if found := pattern.search(text):
            return found.expand(meaning)
    return shown_uri(first_line(error))[:_LONGEST]
