"""Results and records that would be deleted with a job's copy of the working directory are refused."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

from scmmlab.errors import SpecError

_COPIES = ("runtime_resources", "working_dir_files")
"""Folders of a Ray session, one in the other, in which the copies are that jobs get."""


def check_places_of_job(arguments: argparse.Namespace) -> None:
    """Refuse places in the copy of a working directory that this program, as a job of Ray, was given.

    Parameters
    ----------
    arguments : argparse.Namespace
        Of which `store`, `tracking_uri` and `out` are looked at, where it has them.

    Raises
    ------
    SpecError
        If Ray will delete one of them after the job.
    """
    check_places(arguments, lambda path: _in_a_copy(Path(path).expanduser()))


def check_places(arguments: argparse.Namespace, is_lost: Callable[[str], bool]) -> None:
    """Refuse places of which `is_lost` says, by their paths, that they are in such a copy."""
    store, out = getattr(arguments, "store", None), getattr(arguments, "out", None)
    tracked = getattr(arguments, "tracking_uri", None) or ""
    if store and "://" not in store and is_lost(store):
        hint = "an absolute folder of the head that stays, s3://... or gs://...; or 'store:' in a site's file"
        raise _lost("--store", store, hint)
    if out and "://" not in out and is_lost(out):
        raise _lost("--out", out, "an absolute path on a disk of the head that stays")
    if tracked.startswith("sqlite:") and is_lost(tracked.partition(":")[2].removeprefix("///")):
        raise _lost("--tracking-uri", tracked, "sqlite:////absolute/path/mlflow.db on the head, or an MLflow server")


def _lost(option: str, value: str, hint: str) -> SpecError:
    return SpecError(
        f"Invalid value for '{option}': {value!r} would be in the job's copy of the working directory, which is "
        "deleted after it.",
        hint=hint,
    )


def _in_a_copy(path: Path) -> bool:
    parts = path.resolve().parts
    return any(pair == _COPIES for pair in pairwise(parts))
