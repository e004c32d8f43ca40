"""Paths below a corpus's folder, and never outside of it."""

from __future__ import annotations

from pathlib import Path

from scmmlab.errors import CorpusError

_POINTERS = {
    b"/annex/objects/": ("git-annex", "datalad get {name}, or git annex get {name}, fetches it."),
    b"version https://git-lfs.github.com/spec/": ("git-lfs", "git lfs pull fetches it."),
}
"""How a file begins that stands for content which was not fetched, whose it is, and how it is fetched."""
_LARGEST_POINTER = 32 * 1024


def open_below(root: Path, *parts: str) -> Path:
    """The path of something below a folder, with links and `..` resolved.

    Parameters
    ----------
    root : Path
        The corpus's folder.
    *parts : str
        What lies below it, as in `Path.joinpath`. It need not exist.

    Returns
    -------
    Path
        Absolute and free of links, so that what is checked is what is opened.

    Raises
    ------
    CorpusError
        If it lies outside `root`, its links go round in a circle, or its content was not fetched by git-annex
        (DataLad) or git-lfs.
    """
    inside = root.resolve()
    path = root.joinpath(*parts)
    try:
        found = path.resolve()
    except (OSError, RuntimeError) as error:
        raise CorpusError(
            f"'{path}' cannot be opened: expected a file, found links that go round in a circle."
        ) from error
    # a link of git-annex may lead out of a folder that is a part of its repository
    if "/annex/objects/" in found.as_posix() and not found.exists():
        raise _not_fetched(path, b"/annex/objects/")
    if not found.is_relative_to(inside):
        raise CorpusError(
            f"'{path}' lies outside the corpus: expected a path below '{inside}', found '{found}'.",
            "copy the file into the corpus's folder, or name with --root the folder that has it all.",
        )
    for pointer in _POINTERS:
        if _begins_with(found, pointer):
            raise _not_fetched(path, pointer)
    return found


def _begins_with(path: Path, pointer: bytes) -> bool:
    try:
        if not path.is_file() or path.stat().st_size > _LARGEST_POINTER:
            return False
        with path.open("rb") as opened:
            return opened.read(len(pointer)) == pointer
    except OSError:
        # whoever reads it says so
        return False


def _not_fetched(path: Path, pointer: bytes) -> CorpusError:
    store, remedy = _POINTERS[pointer]
    return CorpusError(
        f"The content of '{path}' was not fetched: expected the file, found a pointer of {store}.",
        remedy.format(name=f"'{path.name}'"),
    )
