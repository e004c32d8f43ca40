"""One thread that writes events to a view in order, so that training never waits for what may be slow or down."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

from scmmlab.tracking.events import Epochs, Event, merged

_log = logging.getLogger(__name__)

_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 30.0
_TRIES_OF_ONE_EVENT = 3


class View(Protocol):
    """Where events are shown."""

    def write(self, event: Event) -> None:
        """Show an event. May raise anything; it is then asked to show the same event again."""

    def reachable(self) -> bool:
        """Whether the view answers at all. Never raises."""


class Writer:
    """Takes events at once and hands them to a view from a thread of its own.

    While the view does not answer, events wait and are tried again, in order. An event that the view refuses three
    times though it answers is left out. Of epochs, at most `most_points` wait; later ones are left out (a finished
    cell's record holds them all). What was left out is counted, and the first trouble is said once as a warning.

    Parameters
    ----------
    make_view : callable
        Makes the view, in the thread (importing and connecting may take seconds).
    linger_s : float
        How long epochs may gather into one request.
    patience_s : float
        How long `close` waits for a view that does not answer.
    most_points : int
        Epochs that may wait.
    """

    def __init__(
        self,
        make_view: Callable[[], View],
        linger_s: float = 2.0,
        patience_s: float = 20.0,
        most_points: int = 100_000,
    ):
        self._make_view = make_view
        self._linger_s, self._patience_s, self._most_points = linger_s, patience_s, most_points
        self._waiting: deque[Event] = deque()
        self._points = 0
        self._changed = threading.Condition()
        self._closing = False
        self._deadline: float | None = None
        self._view: View | None = None
        self._warned = False
        self.errors = 0
        """Times that the view raised."""
        self.left_out = 0
        """Events that were given up."""
        self._thread = threading.Thread(target=self._run, name="scmmlab-tracking", daemon=True)
        self._thread.start()

    def put(self, event: Event) -> None:
        """Have `event` written, soon. Returns at once, and never raises."""
        with self._changed:
            if self._closing:
                return
            if isinstance(event, Epochs):
                if self._points >= self._most_points:
                    self.left_out += 1
                    return
                self._points += len(event.points)
            self._waiting.append(event)
            self._changed.notify()

    def close(self) -> None:
        """Wait until all is written; not for ever where the view does not answer."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join()
        if self.left_out:
            _log.warning(
                "%d tracking events were left out. Nothing is lost: results are in the store, and running the study "
                "again shows them.",
                self.left_out,
            )
            self.left_out = 0

    # --- in the thread

    def _run(self) -> None:
        while events := self._take():
            for position, event in enumerate(events):
                if not self._write(event):
                    with self._changed:
                        self.left_out += len(events) - position + len(self._waiting)
                    return

    def _take(self) -> list[Event]:
        """All that waits, once there is something; nothing when the writer is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closing)
            if all(isinstance(event, Epochs) for event in self._waiting):
                self._changed.wait_for(lambda: self._closing, timeout=self._linger_s)
            events = merged(self._waiting)
            self._waiting.clear()
            self._points = 0
            return events

    def _write(self, event: Event) -> bool:
        """Write one event, trying again as long as it takes; False when there is no more time for it."""
        pause, tries = _FIRST_PAUSE_S, 0
        while True:
            try:
                if self._view is None:
                    self._view = self._make_view()
                self._view.write(event)
                self._deadline = None
                return True
            except Exception as error:
                self.errors += 1
                self._warn(error)
            answers = self._view is not None and self._view.reachable()
            tries += answers
            if tries >= _TRIES_OF_ONE_EVENT:
                self.left_out += 1
                return True
            if not self._pause(pause):
                return False
            pause = min(2 * pause, _LONGEST_PAUSE_S)

    def _pause(self, seconds: float) -> bool:
        """Wait before the next try; once closing, only until the patience ends, and False from then on."""
        with self._changed:
            if not self._closing:
                self._changed.wait_for(lambda: self._closing, timeout=seconds)
                return True
        now = time.monotonic()
        self._deadline = self._deadline or now + self._patience_s
        if now >= self._deadline:
            return False
        time.sleep(min(seconds, self._deadline - now, 1.0))
        return True

    def _warn(self, error: Exception) -> None:
        if not self._warned:
            self._warned = True
            reason = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
            _log.warning("Tracking is in trouble and will be tried again; the study goes on: %s", reason)
