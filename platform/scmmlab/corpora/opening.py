"""Paths below a corpus's folder, and never outside of it."""

from __future__ import annotations

from pathlib import Path

from scmmlab.errors import CorpusError


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
        If it lies outside `root`, or its links go round in a circle.
    """
    inside = root.resolve()
    path = root.joinpath(*parts)
    try:
        found = path.resolve()
    except (OSError, RuntimeError) as error:
        raise CorpusError(
            f"'{path}' cannot be opened: expected a file, found links that go round in a circle."
        ) from error
    if not found.is_relative_to(inside):
        raise CorpusError(
            f"'{path}' lies outside the corpus: expected a path below '{inside}', found '{found}'.",
            "copy the file into the corpus's folder, or name with --root the folder that has it all.",
        )
    return found
