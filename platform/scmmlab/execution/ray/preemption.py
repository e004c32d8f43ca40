"""SIGTERM in a worker as a notice to go: what is being trained is saved and handed back before the process ends.

Ray's own handler ends a worker at once. A machine that is taken away (a preempted virtual machine, Slurm, Kubernetes)
gives its processes a SIGTERM and some seconds, which are enough for a checkpoint at the end of the epoch.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any


class WorkerPreempted(RuntimeError):
    """What a worker's training function ends with that was told to go: Train then puts another in its place."""


class Departure:
    """Whether this process has been told to go.

    One a process, as signal handlers are.
    """

    def __init__(self) -> None:
        self._requested = threading.Event()
        self._tell: Callable[[], object] | None = None
        self._before: Any = signal.SIG_DFL

    @property
    def requested(self) -> bool:
        """Whether it has."""
        return self._requested.is_set()

    def watch(self) -> None:
        """Take SIGTERM; to be called in the main thread."""
        before = signal.getsignal(signal.SIGTERM)
        if before != self._handle:
            self._before = before
            signal.signal(signal.SIGTERM, self._handle)

    def tell(self, told: Callable[[], object]) -> None:
        """From here on somebody heeds the notice; `told` lets others know of it, in a thread of its own."""
        self._tell = told

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._tell is None or self._requested.is_set():
            self._go(number, frame)
            return
        self._requested.set()
        threading.Thread(target=self._let_know, args=(self._tell,), name="scmmlab-departure", daemon=True).start()

    def _let_know(self, tell: Callable[[], object]) -> None:
        try:
            tell()
        except Exception:  # whoever had the work is gone, so there is nothing to hand back
            os.kill(os.getpid(), signal.SIGTERM)

    def _go(self, number: int, frame: FrameType | None) -> None:
        if callable(self._before):
            self._before(number, frame)
        else:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)


departure = Departure()
"""That of this process."""


def watch_for_departure() -> None:
    """Take SIGTERM in this process; Train has its workers call it in their main threads."""
    departure.watch()
