"""How far a command is that reads or writes one thing after the other."""

from __future__ import annotations

import sys
import time

from scmmlab.execution.progress import duration


class ProgressLine:
    """Things done, of how many, and the time left: on one line in a terminal, else a line whenever a tenth is done.

    Parameters
    ----------
    doing : str
        What is done, as in ``Reading files``.
    """

    def __init__(self, doing: str) -> None:
        self._doing = doing
        self._in_terminal = sys.stderr.isatty()
        self._first: tuple[int, float] | None = None

    def __call__(self, done: int, total: int) -> None:
        """So many of `total` are done."""
        text = f"{self._doing}: {done} of {total} done"
        if self._first is None and done:
            # time is counted from the first one on: before it, an engine may have been starting
            self._first = (done, time.monotonic())
        elif self._first is not None and done < total:
            before, start = self._first
            text += f", about {duration((time.monotonic() - start) / (done - before) * (total - done))} left"
        if self._in_terminal:
            print(f"\r\033[K{text}", end="\n" if done == total else "", file=sys.stderr, flush=True)
        elif done == 0 or done * 10 // total > (done - 1) * 10 // total:
            print(text, file=sys.stderr, flush=True)
