"""SIGINT and SIGTERM as a request to stop: what is being written is finished, training is abandoned."""

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
INTERRUPTION = "interrupted. Finished work is kept; run the same command again to resume."
"""The message of such a program."""
RESUMABLE = "finished work is kept, and the same command resumes the run"
"""Hint of an error after which nothing is lost."""
AT_ONCE_S = 5.0
"""C++ code may be running, during which Python handles no signal; after so long the program ends all the same."""


class Interruption:
    """Whether a signal has asked this program to stop."""

    def __init__(self) -> None:
        self.requested = False
        self._at_once = False

    def request(self) -> None:
        """Request it.

        Raises
        ------
        KeyboardInterrupt
            In the context of `at_once`, or at the second request.
        """
        again, self.requested = self.requested, True
        if again or self._at_once:
            raise KeyboardInterrupt

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Nothing is being written in this context: a signal interrupts it at once."""
        self._at_once = True
        try:
            with _ended_after(AT_ONCE_S):
                yield
        finally:
            self._at_once = False


@contextmanager
def _ended_after(seconds: float) -> Iterator[None]:
    """End the program so long after a signal, unless the context has ended by then.

    Ray connects in C++, and Python's own handlers wait for that.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    left = threading.Event()
    read, write = os.pipe()
    os.set_blocking(write, False)

    def watch() -> None:
        with open(read, "rb", buffering=0) as signals:
            while (number := signals.read(1)) and number[0] not in SIGNALS:
                pass
            if number and not left.wait(seconds):
                sys.stderr.write(f"scmmlab: {INTERRUPTION}\n")
                sys.stderr.flush()
                os._exit(INTERRUPTED)

    threading.Thread(target=watch, name="scmmlab-signals", daemon=True).start()
    before = signal.set_wakeup_fd(write, warn_on_full_buffer=False)
    try:
        yield
    finally:
        left.set()
        signal.set_wakeup_fd(before)
        os.close(write)


@contextmanager
def interruptible() -> Iterator[Interruption]:
    """Note the first signal, for the program to stop in order; a second one interrupts it at once.

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
