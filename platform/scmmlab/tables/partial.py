"""The rows of files that are done, kept beside a table in the making, so that a build that was stopped goes on."""

from __future__ import annotations

import json
import os
import re
import shutil
import uuid
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

import numpy as np

from scmmlab.config import fingerprint
from scmmlab.tables.extraction import FileRows
from scmmlab.tables.locations import Location

_ARRAYS = ("subject", "session", "trial", "window", "label", "features")
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
        facts = {f.name: getattr(rows, f.name) for f in fields(rows) if f.name not in _ARRAYS}
        # a list, because the order of the bands is that of the features
        facts["bands"] = list(rows.bands.items())
        new = self._folder / f"{uuid.uuid4().hex}.new"
        with new.open("wb") as file:
            np.savez(
                file,
                facts=np.frombuffer(json.dumps(facts).encode(), dtype=np.uint8),
                **{name: getattr(rows, name) for name in _ARRAYS},
            )
        os.replace(new, self._folder / _name(rows.file))

    def remove(self) -> None:
        """Remove what was kept for this table, by this build or by others that were never ended."""
        if self._folder is not None and self._folder.parent.is_dir():
            for folder in self._folder.parent.iterdir():
                if self._others.fullmatch(folder.name):
                    shutil.rmtree(folder, ignore_errors=True)

    def _read(self, path: Path) -> FileRows | None:
        try:
            with np.load(path, allow_pickle=False) as stored:
                arrays = {name: stored[name] for name in _ARRAYS}
                facts = json.loads(stored["facts"].tobytes())
        except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile, zlib.error):
            return None
        return FileRows(
            file=facts["file"],
            channels=tuple(facts["channels"]),
            bands={name: (low, high) for name, (low, high) in facts["bands"]},
            window_s=facts["window_s"],
            notes=tuple(facts["notes"]),
            **arrays,
        )


def _name(file: str) -> str:
    return f"{fingerprint(file)}.npz"
