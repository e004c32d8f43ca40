"""Names of files that all libraries take for the same: some have them in UTF-8, and Python in the locale's letters."""

from __future__ import annotations

import os
import sys

from scmmlab.errors import SpecError


def check_file_name(name: str) -> None:
    """Refuse with a SpecError a path that is another file's in UTF-8 than in the letters of this program's locale."""
    try:
        same = os.fsencode(name) == name.encode()
    except UnicodeEncodeError:
        same = False
    if not same:
        raise unknown_letters(name)


def unknown_letters(name: str) -> SpecError:
    """The error for a path with characters that this program's encoding, or UTF-8, does not have."""
    shown = name.encode("ascii", "backslashreplace").decode()
    expected = f"this program encodes file names as {sys.getfilesystemencoding()}, and UTF-8 is expected"
    if sys.getfilesystemencoding() == "utf-8":
        expected = "it is not UTF-8 text"
    return SpecError(
        f"Cannot use the file name '{shown}': {expected}.",
        hint="set PYTHONUTF8=1 or LC_ALL=C.UTF-8, or use an ASCII name",
    )
