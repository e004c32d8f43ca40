"""What an examination of a corpus's folder finds, fact by fact."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from scmmlab.corpora.left_out import LeftOut
from scmmlab.errors import CorpusError

_GRAMMAR = re.compile(r"(?P<fact>.+?): expected (?P<expected>.+), found (?P<found>.+?)\.?", re.DOTALL)
"""How an error of a reader is built."""


@dataclass(frozen=True)
class RecordingSummary:
    """Who was recorded, and which trials there are: a row of the table that `corpus check` prints.

    Parameters
    ----------
    subject, session, run : int
        Numbers in the table; runs count from 0.
    name, session_name : str
        What the corpus calls the subject and the session.
    trials : dict of str to int
        Trials of each class.
    """

    subject: int
    session: int
    run: int
    name: str
    session_name: str
    trials: dict[str, int]


@dataclass(frozen=True)
class Finding:
    """A fact that was checked.

    Parameters
    ----------
    ok : bool
        Whether it holds.
    where : str
        File or folder, relative to the root with `/`; `.` is the root.
    fact : str
        What was checked, in a few words.
    expected, found : str
        What the corpus is known to have, and what is there.
    remedy : str
        What to do where it does not hold.
    left_out : LeftOut | None
        Set where it is no fact but a part of the corpus that is not taken; always shown.
    summary : RecordingSummary | None
        Set where a recording was found to have trials.
    """

    ok: bool
    where: str
    fact: str
    expected: str
    found: str
    remedy: str = ""
    left_out: LeftOut | None = None
    summary: RecordingSummary | None = None

    @classmethod
    def of_left_out(cls, left_out: LeftOut) -> Finding:
        """The finding that something is left out, which is right as long as it is said."""
        return cls(True, left_out.where, "left out", left_out.why, left_out.what, left_out=left_out)

    @classmethod
    def of_error(cls, where: str, error: CorpusError) -> Finding:
        """The finding that an error of a reader speaks of."""
        match = _GRAMMAR.fullmatch(error.message)
        fact, expected, found = match.group("fact", "expected", "found") if match else (error.message, "", "")
        return cls(
            False, where, fact, expected, found, error.hint or "copy it again from the corpus as it was received"
        )


def subjects_finding(found: Sequence[int], first: int, last: int, name: Callable[[int], str]) -> Finding:
    """Which of a corpus's subjects are there. Some of them are a corpus too; a gap between them is a mistake.

    Parameters
    ----------
    found : sequence of int
        Numbers of the subjects that are there, one at least.
    first, last : int
        Numbers of the corpus's first and last subject.
    name : callable
        What the corpus calls a subject.
    """
    gaps = [name(number) for number in range(min(found), max(found)) if number not in found]
    whole = sorted(found) == list(range(first, last + 1))
    return Finding(
        not gaps,
        ".",
        "subjects",
        f"{name(first)} to {name(last)}, or some of them without a gap",
        "all" if whole else ", ".join(name(number) for number in sorted(found)),
        f"copy {', '.join(gaps)} as well; the others can be read as they are" if gaps else "",
    )
