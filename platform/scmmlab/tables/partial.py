"""The rows of files that are done, kept beside a table in the making, so that a build that was stopped goes on."""

from __future__ import annotations

import os
import re
import shutil
import uuid
from collections.abc import Sequence
from pathlib import Path

from scmmlab.config import fingerprint
from scmmlab.tables.file_rows import FileRows
from scmmlab.tables.locations import Location

_ENDING = ".parts"


class PartialBuild:
    """A hidden folder beside a table's place, named by the build's identity: what is in it was made by the same build.

    Parameters
    ----------
    place : Location
        Where the table will be. On a filesystem that is reached by URI nothing is kept, and a build begins anew.
    build : str
        Identity of the build: raw files, settings, versions.
    """

    def __init__(self, place: Location, build: str):
        self._folder: Path | None = None
        if place.local is not None:
            self._folder = place.local.with_name(f".{place.local.name}.{build[:16]}{_ENDING}")
            self._others = re.compile(rf"\.{re.escape(place.local.name)}\.[0-9a-f]{{16}}{re.escape(_ENDING)}")

    def finished(self, files: Sequence[str]) -> dict[str, FileRows]:
        """The rows of those files that are done already; what cannot be read counts as not done."""
        if self._folder is None or not self._folder.is_dir():
            return {}
        return {file: rows for file in files if (rows := self._read(self._folder / _name(file))) is not None}

    def keep(self, rows: FileRows) -> None:
        """Keep the rows of a file that is done, whole or not at all."""
        if self._folder is None:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        new = self._folder / f"{uuid.uuid4().hex}.new"
        new.write_bytes(rows.to_bytes())
        os.replace(new, self._folder / _name(rows.file))

    def remove(self) -> None:
        """Remove what was kept for this table, by this build or by others that were never ended."""
        if self._folder is not None and self._folder.parent.is_dir():
            for folder in self._folder.parent.iterdir():
                if self._others.fullmatch(folder.name):
                    shutil.rmtree(folder, ignore_errors=True)

    def _read(self, path: Path) -> FileRows | None:
        try:
            return FileRows.from_bytes(path.read_bytes())
        except (OSError, ValueError):
            return None


def _name(file: str) -> str:
    return f"{fingerprint(file)}.npz"
