"""Whether other users of this machine can read what a study reads and writes."""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path

from scmmlab.doctor.check_result import CheckResult, bad, ok, warn
from scmmlab.tables import Manifest
from scmmlab.tables.locations import SHIPPED_PREFIX, locate

_FILES_LOOKED_AT = 100_000


def check_tables(tables: Mapping[str, Manifest]) -> Iterator[CheckResult]:
    """A finding for each feature table on this machine that was made from recordings of people.

    Parameters
    ----------
    tables : mapping
        Location → manifest.
    """
    for location, manifest in tables.items():
        place = locate(location).local
        if place is None or location.startswith(SHIPPED_PREFIX) or manifest.provenance.get("origin") == "synthetic":
            continue
        file = readable_by_others(place)
        if file is None:
            yield ok(f"table {place}", "only its owner and group can read it")
        else:
            yield bad(
                f"table {place}",
                f"every user of this machine can read {file}",
                f"chmod -R o= {shlex.quote(str(place))}",
            )


def check_recordings(folder: Path) -> CheckResult:
    """A finding on a folder of recordings of people."""
    check = f"recordings {folder}"
    if not folder.is_dir():
        return warn(check, "there is no such folder", "name the folder that holds them")
    file = readable_by_others(folder)
    if file is None:
        return ok(check, "only their owner and group can read them")
    return bad(check, f"every user of this machine can read {file}", f"chmod -R o= {shlex.quote(str(folder))}")


def check_store(folder: Path) -> CheckResult:
    """A finding on the folder of a result store."""
    file = readable_by_others(folder)
    if file is None:
        return ok(f"store {folder}", "only its owner and group can read it")
    found = f"every user of this machine can read {file}"
    return warn(f"store {folder}", found, f"chmod o= {shlex.quote(str(folder))}")


def readable_by_others(folder: Path) -> Path | None:
    """The first file of `folder` that any user of this machine can read; None where there is none.

    A file is readable where it says so and every folder above lets others pass.
    """
    folder = Path(os.path.realpath(folder))
    if not folder.is_dir() or not all(_mode(above) & stat.S_IXOTH for above in (folder, *folder.parents)):
        return None
    return next((file for file in islice(_open_files(folder), 1)), None)


def _open_files(folder: Path) -> Iterator[Path]:
    looked_at = 0
    for path, folders, files in os.walk(folder):
        folders[:] = [name for name in sorted(folders) if _mode(Path(path, name)) & stat.S_IXOTH]
        for name in sorted(files):
            looked_at += 1
            if looked_at > _FILES_LOOKED_AT:
                return
            if _mode(Path(path, name)) & stat.S_IROTH:
                yield Path(path, name)


def _mode(path: Path) -> int:
    try:
        return path.lstat().st_mode
    except OSError:
        return 0
