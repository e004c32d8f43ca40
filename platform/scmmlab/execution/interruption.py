"""SIGINT and SIGTERM as a request to stop: what is being written is finished, what is being trained is left."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)
INTERRUPTED = 130
"""Exit status of a program that was interrupted."""
INTERRUPTION = "interrupted. What is finished is kept; the same command goes on from here."
"""What it says."""
AT_ONCE_S = 5.0
"""What is left at once may be in another language's hands, where Python hears of nothing; it is not for longer."""


class Interruption:
    """Whether a signal has asked this program to stop."""

    def __init__(self) -> None:
        self.requested = False
        self._at_once = False
        self._timer: threading.Timer | None = None

    def request(self) -> None:
        """Ask.

        Raises
        ------
        KeyboardInterrupt
            Where what is going on is to be left at once, or it was asked before.
        """
        again, self.requested = self.requested, True
        if self._at_once and self._timer is None:
            self._timer = threading.Timer(AT_ONCE_S, _leave)
            self._timer.daemon = True
            self._timer.start()
        if again or self._at_once:
            raise KeyboardInterrupt

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Nothing is being written here: a signal ends it where it is."""
        self._at_once = True
        try:
            yield
        finally:
            self._at_once = False
            if self._timer is not None:
                self._timer.cancel()


@contextmanager
def interruptible() -> Iterator[Interruption]:
    """Note the first signal and let the program come to its stop; a second one interrupts it where it is.

    In a thread other than the main one, where Python takes no signals, nothing is changed.
    """
    interruption = Interruption()
    if threading.current_thread() is not threading.main_thread():
        yield interruption
        return

    def handle(number: int, frame: FrameType | None) -> None:
        interruption.request()

    before = {number: signal.signal(number, handle) for number in SIGNALS}
    try:
        yield interruption
    finally:
        for number, handler in before.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)


def _leave() -> None:
    sys.stderr.write(f"scmmlab: {INTERRUPTION}\n")
    sys.stderr.flush()
    os._exit(INTERRUPTED)
