"""What a reader does not take of a corpus, and why: it is said by the check, by the build and in the manifest."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import Field

from scmmlab.config import Spec

_MOST_SHOWN = 8


class LeftOut(Spec):
    """A part of a corpus that is not in its table."""

    where: str = Field(min_length=1)
    """File or folder, relative to the root with `/`; `.` is the root."""
    what: str = Field(min_length=1)
    """What is left out there, in a few words: `the recording`, `3 trials of 'rest'`, `2 windows of trial 5`."""
    why: str = Field(min_length=1)
    """The reason, in a few words: `of no class`, `BAD_blink`, `of another task`."""
    trials: int = Field(0, ge=0)
    """How many whole trials; 0 where it is no trial, or nobody knows."""

    def __str__(self) -> str:
        return f"{self.where}: {self.what} left out: {self.why}"


def summarize(left_out: Iterable[LeftOut]) -> list[str]:
    """A line for each, or for all together that are the same in several places."""
    places: dict[tuple[str, str], list[str]] = {}
    for each in left_out:
        places.setdefault((each.what, each.why), []).append(each.where)
    lines = []
    for (what, why), found in places.items():
        told = f" in {'each of ' if len(found) > 1 else ''}{shown(found)}" if found != ["."] else ""
        lines.append(f"{what}{told} ({why})")
    return lines


def shown(names: list[str]) -> str:
    """Names, the first of them where they are many."""
    more = len(names) - _MOST_SHOWN
    return ", ".join(names[:_MOST_SHOWN]) + (f" and {more} more" if more > 0 else "")
