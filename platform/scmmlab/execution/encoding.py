"""Output in the letters that its encoding has: one that it lacks is replaced by the nearest, and ends no run."""

from __future__ import annotations

import codecs
import io
import sys
import unicodedata

NEAREST = {
    "±": "+-",
    "▲": "^",
    "▼": "v",
    "‡": "#",
    "†": "+",
    "§": "$",
    "●": "o",
    "·": "-",
    "–": "-",
    "−": "-",
    "×": "x",
    "→": "->",
    "≤": "<=",
    "≥": ">=",
    "“": '"',
    "”": '"',
    "µ": "u",
    "μ": "u",
}
"""Marks that mean something each, so that a question mark for all of them would be wrong, in letters that all have."""

_HANDLER = "scmmlab.nearest"


def replace_missing_letters() -> None:
    """Have standard output and error write the nearest letters for those that their encoding lacks."""
    codecs.register_error(_HANDLER, _nearest)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a notebook's, or a test's, takes all letters
            stream.reconfigure(errors=_HANDLER)


def _nearest(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(_plain, error.object[error.start : error.end])), error.end


def _plain(letter: str) -> str:
    # ü is u and two dots, which are left out; … is three full stops
    apart = unicodedata.normalize("NFKD", letter).encode("ascii", "ignore").decode()
    return NEAREST.get(letter) or apart or "?"
