"""Whether a table that is already there stays, is made again, or is somebody else's."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from scmmlab.errors import CorpusError
from scmmlab.tables.feature_table import FeatureTable
from scmmlab.tables.locations import locate
from scmmlab.tables.manifest import Manifest
from scmmlab.tables.storage import check_writable, read_manifest, read_table, write_table


@dataclass(frozen=True)
class Outcome:
    """What became of a request for a table.

    Parameters
    ----------
    manifest : Manifest
        Of the table that is there now.
    status : {"built", "rebuilt", "up to date"}
        What was done.
    reason : str
        Why a table was rebuilt.
    """

    manifest: Manifest
    status: Literal["built", "rebuilt", "up to date"]
    reason: str = ""


def provide_table(
    location: str | os.PathLike[str],
    build: str,
    is_ours: Callable[[Manifest], bool],
    make: Callable[[], FeatureTable],
    force: bool,
    is_whole: Callable[[Manifest], bool] = lambda manifest: True,
) -> Outcome:
    """See to it that a table is at a location, doing nothing where it is there already.

    - No table: it is made.
    - One of ours, of the same build and whole: it stays.
    - One of ours, but of another build (raw files, settings or versions changed) or damaged: it is made again; the old
      one stays until the new one is whole.
    - Any other table is only replaced with `force`; what is no feature table never is.

    Parameters
    ----------
    location : str or path
        A folder or URI.
    build : str
        Identity of the build; equal builds make equal tables.
    is_ours : callable
        Whether a table with this manifest is one that may be made again.
    make : callable
        Makes the table.
    force : bool
        Make it in any case.
    is_whole : callable
        Whether a table with this manifest has all that one has that is made now; one that has not is made again.

    Raises
    ------
    CorpusError
        If something else is there, or from `make`.
    """
    standing = _standing(location, build, is_ours, is_whole)
    if standing == "current" and not force:
        return Outcome(read_manifest(location), "up to date")
    replace = force or standing in _REASONS
    # before the work, so that none is done in vain
    check_writable(locate(location), replace)
    manifest = write_table(make(), location, force=replace)
    if standing == "absent":
        return Outcome(manifest, "built")
    return Outcome(manifest, "rebuilt", _REASONS.get(standing, "--force was given"))


_REASONS = {
    "changed": "raw files, settings or versions have changed since it was built",
    "damaged": "its content did not match its fingerprint",
    "incomplete": "it was built before signals were recognised; features and fingerprint stay the same",
}
"""Standings of a table that is made again without being told to."""


def _standing(
    location: str | os.PathLike[str],
    build: str,
    is_ours: Callable[[Manifest], bool],
    is_whole: Callable[[Manifest], bool],
) -> Literal["absent", "current", "changed", "damaged", "incomplete", "other"]:
    if not locate(location).names():
        return "absent"
    try:
        manifest = read_manifest(location)
    except CorpusError:
        # nobody can tell whose table it was
        return "other"
    if not is_ours(manifest):
        return "other"
    if manifest.build != build:
        return "changed"
    try:
        read_table(location)
    except CorpusError:
        return "damaged"
    return "current" if is_whole(manifest) else "incomplete"
