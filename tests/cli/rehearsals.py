"""Fakes of the corpora and their tables, made once by the commands that a user types."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from scmmlab.cli.main import main

TWO = ("--subjects", "2")
CHEAPEST = {
    "dreamer": (),  # one file holds all subjects
    "seed": (*TWO, "--set", "parts=features"),
    "seed_iv": (*TWO, "--set", "parts=features"),
}


class Rehearsals:
    """Folders below a root: `NAME` as `corpus fake` makes it, `tables/NAME` as `corpus build` does."""

    def __init__(self, root: Path):
        self.root = root

    def corpus(self, name: str) -> Path:
        """The fake of two subjects, or of all where there is no less."""
        folder = self.root / name
        if not folder.exists():
            options = ("--small", *CHEAPEST.get(name, TWO))
            assert main(["corpus", "fake", name, "--out", str(folder), *options]) == 0
        return folder

    def table(self, name: str) -> Path:
        """Its table."""
        table = self.root / "tables" / name
        if not table.exists():
            words = ["--root", str(self.corpus(name)), "--out", str(table), "--engine", "local"]
            assert main(["corpus", "build", name, *words]) == 0
        return table

    def to_be_damaged(self, name: str, place: Path) -> Path:
        """A copy whose files are links to the same bytes: to be replaced or renamed, never written to."""
        return Path(shutil.copytree(self.corpus(name), place, copy_function=os.link))


def replace(file: Path, content: bytes) -> None:
    """Put other bytes where a file was, which may have further names."""
    file.unlink()
    file.write_bytes(content)
