"""What an examination of a corpus's folder finds, fact by fact."""

from __future__ import annotations

import re
from dataclasses import dataclass

from scmmlab.errors import CorpusError

_GRAMMAR = re.compile(r"(?P<fact>.+?): expected (?P<expected>.+), found (?P<found>.+?)\.?", re.DOTALL)
"""How an error of a reader is built."""


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
    """

    ok: bool
    where: str
    fact: str
    expected: str
    found: str
    remedy: str = ""

    @classmethod
    def of_error(cls, where: str, error: CorpusError) -> Finding:
        """The finding that an error of a reader speaks of."""
        match = _GRAMMAR.fullmatch(error.message)
        fact, expected, found = match.group("fact", "expected", "found") if match else (error.message, "", "")
        return cls(
            False, where, fact, expected, found, error.hint or "copy it again from the corpus as it was received"
        )
