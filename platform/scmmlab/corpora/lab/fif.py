"""FIF files: whether they are whole, and which other files they go on in."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from scmmlab.corpora.opening import open_below
from scmmlab.errors import CorpusError

_FILE_ID, _BLOCK_START, _BLOCK_END, _REF_ROLE, _REF_FILE_NAME, _DATA = 100, 104, 105, 115, 118, 300
_PREVIOUS_FILE, _NEXT_FILE = 1, 2
"""The roles of the file that a recording comes from and of the one that it goes on in, which alone is to be opened."""
_TAG = struct.Struct(">iIii")
"""What a tag starts with: its kind, its type, the size of its data, and where the next one is."""
_LONGEST_NAME = 4096


def fif_parts(root: Path, file: str) -> tuple[str, ...]:
    """The files that a split recording goes on in, relative to the root.

    Raises
    ------
    CorpusError
        If a tag ends beyond the file, or a file is named that lies outside `root`.
    """
    parts: list[str] = []
    waiting = [file]
    while waiting:
        part = waiting.pop(0)
        for name in (name for _, roles, names in _named_files(root / part) if roles <= {_NEXT_FILE} for name in names):
            other = (Path(part).parent / name).as_posix()
            if "\0" in other:
                raise CorpusError(f"'{root / part}' goes on in no file: expected the name of one, found {name!r}.")
            open_below(root, other)
            if other not in (file, *parts) and (root / other).is_file():
                parts.append(other)
                waiting.append(other)
    return tuple(parts)


def fif_before(path: Path) -> str | None:
    """The name of the file that a split recording comes from, where this one is a further part of it.

    What is not an FIF file is none; whoever opens it says so.
    """
    try:
        about = path.stat()
        return _before(path, about.st_mtime_ns, about.st_size)
    except (CorpusError, OSError):
        return None


@lru_cache(maxsize=10_000)
def _before(path: Path, changed: int, size: int) -> str | None:
    for kind, roles, names in _named_files(path):
        if _PREVIOUS_FILE in roles and names:
            return names[0]
        # what comes before stands in front of the data, which are long
        if kind == _DATA:
            break
    return None


def _named_files(path: Path) -> Iterator[tuple[int, set[int], list[str]]]:
    """The roles and names of files that stand in front of each start or end of a block of tags, and of data."""
    size, position, last = path.stat().st_size, 0, -1
    names: list[str] = []
    roles: set[int] = set()
    with path.open("rb") as opened:
        while position < size and position > last:
            last = position
            opened.seek(position)
            header = opened.read(_TAG.size)
            kind, _, length, following = _TAG.unpack(header) if len(header) == _TAG.size else (0, 0, size, -1)
            end = position + _TAG.size + length
            if position == 0 and kind != _FILE_ID:
                raise CorpusError(
                    f"'{path}' is not an FIF file: expected one that starts with a file id, found tag {kind}."
                )
            if length < 0 or end > size:
                raise CorpusError(
                    f"'{path}' is truncated: expected data up to byte {end} as a tag says, found {size} bytes.",
                    "copy the file again.",
                )
            if kind in (_BLOCK_START, _BLOCK_END, _DATA) or following == -1:
                yield kind, roles, names
                names, roles = [], set()
            elif kind == _REF_FILE_NAME and length <= _LONGEST_NAME:
                names.append(opened.read(length).decode("latin-1").strip("\0"))
            elif kind == _REF_ROLE and length == 4:
                roles.add(int.from_bytes(opened.read(length), "big", signed=True))
            if following == -1:
                return
            # 0 stands for the tag right behind, which is where the chain of nearly all files leads
            position = end if following == 0 else following
    if size == 0 or position < size:
        found = "nothing" if size == 0 else f"a tag at byte {last} that leads back to {position}"
        raise CorpusError(f"'{path}' is not a complete FIF file: expected tags one behind the other, found {found}.")
    raise CorpusError(f"'{path}' is truncated: expected a last tag, found the end of the file at byte {size}.")
