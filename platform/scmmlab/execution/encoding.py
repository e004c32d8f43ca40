"""Output in any encoding: a character that it lacks is replaced by the nearest, instead of ending a run."""

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
    "¶": "@",
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
"""Symbols with a meaning of their own, for which a question mark would be wrong, in ASCII."""

_HANDLER = "scmmlab.nearest"


def replace_missing_letters() -> None:
    """Have standard output and error replace characters that their encoding lacks by the nearest."""
    codecs.register_error(_HANDLER, _nearest)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a notebook's, or a test's, takes all characters
            stream.reconfigure(errors=_HANDLER)


def _nearest(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(_ascii, error.object[error.start : error.end])), error.end


def _ascii(character: str) -> str:
    # ü decomposes into u and a diaeresis, which is dropped; … into three full stops
    decomposed = unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode()
    return NEAREST.get(character) or decomposed or "?"
