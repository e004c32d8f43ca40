"""Texts and specs without the folders of this machine, whose names are nobody's affair: `/home/jane/x` becomes `x`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_QUOTED = re.compile(r"""(?<=['"])(?:~|[a-z][a-z0-9+.-]*:/)?/(?:[^'"\n]*/)?(?=[^'"/\n]*['"])""")
_ADDRESS = re.compile(r"""\b[a-z][a-z0-9+.-]*://[^\s'"<>]*/""")
_PATH = re.compile(r"""(?<![\w.:/~<])~?/(?:[^\s'"<>:,;()/]+/)+""")


def redact_paths(text: str) -> str:
    """`text` with each path and address cut down to its last part.

    Parameters
    ----------
    text : str
        Such as an error.
    """
    for pattern in (_QUOTED, _ADDRESS, _PATH):
        text = pattern.sub("", text)
    return text


def redact_spec(value: Any) -> Any:
    """A study's plain values, tables by the last part of their paths alone."""
    if isinstance(value, Mapping):
        return {
            name: inner.rstrip("/").rpartition("/")[2]
            if name == "table" and isinstance(inner, str)
            else redact_spec(inner)
            for name, inner in value.items()
        }
    return [redact_spec(inner) for inner in value] if isinstance(value, list | tuple) else value
