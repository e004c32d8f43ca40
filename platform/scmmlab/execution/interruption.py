"""SIGINT and SIGTERM as a request to stop: what is being written is finished, what is being trained is left."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interruption:
    """Whether a signal has asked this program to stop."""

    def __init__(self) -> None:
        self.requested = False

    def request(self) -> None:
        """Ask."""
        self.requested = True


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
        if interruption.requested:
            raise KeyboardInterrupt
        interruption.request()

    before = {number: signal.signal(number, handle) for number in SIGNALS}
    try:
        yield interruption
    finally:
        for number, handler in before.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)
