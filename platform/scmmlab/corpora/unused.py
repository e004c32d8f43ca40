"""What lies in a corpus's folder and no reader takes, so that nothing in it is passed over without a word."""

from __future__ import annotations

import os
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from scmmlab.corpora.left_out import LeftOut, shown
from scmmlab.errors import CorpusError

_OWN = (".lock", ".parts")
"""How hidden names end that a build leaves beside its table for as long as it runs."""


@dataclass(frozen=True)
class Entry:
    """Something below a corpus's folder.

    Parameters
    ----------
    file : str
        Path relative to the folder, with `/`.
    kind : {"file", "folder", "closed"}
        A folder that is closed was not entered: it is hidden, cannot be listed, or is a link that leads out of the
        corpus or round.
    """

    file: str
    kind: Literal["file", "folder", "closed"]

    @property
    def is_hidden(self) -> bool:
        """Whether its name begins with a dot, as of what some systems leave beside each file that they copy."""
        return self.file.rsplit("/", 1)[-1].startswith(".")


def walk(root: Path) -> Iterator[Entry]:
    """All that lies below a folder, in the order of the names.

    Raises
    ------
    CorpusError
        If the folder itself cannot be listed.
    """
    try:
        entries = _entries(root)
    except OSError as error:
        raise CorpusError(f"'{root}' cannot be listed: expected a folder, found {error.strerror}.") from error
    yield from _below(entries, "", (root.resolve(),))


def unused(root: Path, used: Container[str]) -> tuple[LeftOut, ...]:
    """What is left of a folder: whole folders once, files one by one where their folder has others that are used.

    Parameters
    ----------
    root : Path
        The corpus's folder.
    used : container of str
        What is read of it, relative to it with `/`.
    """
    entries = list(walk(root))
    # the folders that have something in them that is used
    live = {"."}
    for entry in entries:
        if entry.file in used:
            live.update(parent.as_posix() for parent in PurePosixPath(entry.file).parents)
    loose: dict[str, list[str]] = {}
    folders: dict[str, int] = {}
    for entry in entries:
        if entry.file in used or entry.is_hidden or entry.kind == "folder":
            continue
        # the uppermost folder without anything that is used, where there is one
        above = [parent.as_posix() for parent in PurePosixPath(entry.file).parents]
        dead = [folder for folder in above if folder not in live]
        if dead:
            folders[dead[-1]] = folders.get(dead[-1], 0) + 1
        else:
            loose.setdefault(above[0], []).append(PurePosixPath(entry.file).name)
    found = [
        LeftOut(where=folder, what=f"the folder with its {count_of(count, 'file')}", why="not read with these settings")
        for folder, count in folders.items()
    ]
    found += [
        LeftOut(where=folder, what=f"{count_of(len(names), 'file')}: {shown(names)}", why="not read")
        for folder, names in loose.items()
    ]
    return (*found, *hidden(entries))


def hidden(entries: Iterable[Entry]) -> tuple[LeftOut, ...]:
    """Whatever is hidden, as one."""
    names = [entry.file for entry in entries if entry.is_hidden and not entry.file.endswith(_OWN)]
    return (LeftOut(where=".", what=f"hidden: {shown(names)}", why="their names begin with a dot"),) if names else ()


def count_of(count: int, what: str) -> str:
    """`1 file`, `2 files`."""
    return f"{count} {what}{'s' if count != 1 else ''}"


def _entries(folder: str | Path) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        return sorted(entries, key=lambda entry: entry.name)


def _below(entries: list[os.DirEntry[str]], prefix: str, above: tuple[Path, ...]) -> Iterator[Entry]:
    for entry in entries:
        file = prefix + entry.name
        try:
            is_folder = entry.is_dir()
        except OSError:
            # links that go round in a circle
            is_folder = False
        if not is_folder:
            yield Entry(file, "file")
            continue
        here = Path(entry.path).resolve() if entry.is_symlink() else above[-1] / entry.name
        if entry.name.startswith(".") or here in above or not here.is_relative_to(above[0]):
            yield Entry(file, "closed")
            continue
        try:
            inside = _entries(entry.path)
        except OSError:
            yield Entry(file, "closed")
            continue
        yield Entry(file, "folder")
        yield from _below(inside, f"{file}/", (*above, here))
