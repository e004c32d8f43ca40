"""SIGTERM in a worker as a preemption notice: what is being trained is saved and handed back before the process ends.

Ray's own handler ends a worker at once. A machine that is preempted (a virtual machine, Slurm, Kubernetes) gives its
processes a SIGTERM and some seconds, which are enough for a checkpoint at the end of the epoch.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any


class WorkerPreempted(RuntimeError):
    """What a preempted worker's training function ends with: Train then starts another in its place."""


class PreemptionNotice:
    """Whether this process has received a preemption notice.

    One a process, as signal handlers are.
    """

    def __init__(self) -> None:
        self._received = threading.Event()
        self._notify: Callable[[], object] | None = None
        self._before: Any = signal.SIG_DFL

    @property
    def received(self) -> bool:
        """Whether it has."""
        return self._received.is_set()

    def install(self) -> None:
        """Handle SIGTERM; to be called in the main thread."""
        before = signal.getsignal(signal.SIGTERM)
        if before != self._handle:
            self._before = before
            signal.signal(signal.SIGTERM, self._handle)

    def notify(self, callback: Callable[[], object]) -> None:
        """From here on the notice is heeded; `callback` lets others know of it, in a thread of its own."""
        self._notify = callback

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._notify is None or self._received.is_set():
            self._end_process(number, frame)
            return
        self._received.set()
        threading.Thread(target=self._run, args=(self._notify,), name="scmmlab-preemption", daemon=True).start()

    def _run(self, callback: Callable[[], object]) -> None:
        try:
            callback()
        except Exception:  # the broker is gone, so there is nobody to hand work back to
            os.kill(os.getpid(), signal.SIGTERM)

    def _end_process(self, number: int, frame: FrameType | None) -> None:
        if callable(self._before):
            self._before(number, frame)
        else:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)


preemption_notice = PreemptionNotice()
"""That of this process."""


def install_preemption_handler() -> None:
    """Handle SIGTERM in this process; Train has its workers call it in their main threads."""
    preemption_notice.install()
