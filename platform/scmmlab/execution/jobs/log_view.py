"""A job's log for people: lines as they are, except progress lines, which a terminal shows as one that is redrawn."""

from __future__ import annotations

import re
from typing import TextIO

PROGRESS = re.compile(r"\d+/\d+ \S.* done . \d+ running")
"""What `scmmlab.execution.progress.Progress` prints without a terminal; its dot is another character where a job's
locale lacks it."""


class LogView:
    """Shows pieces of a log on `stream`."""

    def __init__(self, stream: TextIO):
        self._stream, self._live = stream, stream.isatty()
        self._rest = ""
        self._drawn = 0

    def show(self, text: str) -> None:
        """Show a piece, which may begin and end within a line."""
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            if self._live and PROGRESS.match(line):
                self._stream.write(f"\r{line:<{self._drawn}}")
                self._drawn = len(line)
            else:
                self._clear()
                self._stream.write(f"{line}\n")
        self._stream.flush()

    def make_room(self) -> None:
        """Keep the progress line, so that something else can be printed on the terminal."""
        if self._drawn:
            self._stream.write("\n")
            self._drawn = 0
            self._stream.flush()

    def close(self) -> None:
        """Keep the last progress line, and show what has no end of line."""
        self.make_room()
        if self._rest:
            self._stream.write(f"{self._rest}\n")
        self._rest = ""
        self._stream.flush()

    def _clear(self) -> None:
        if self._drawn:
            self._stream.write(f"\r{'':<{self._drawn}}\r")
            self._drawn = 0
