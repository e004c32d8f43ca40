"""Writes events to a view in order, from a bounded queue, so that training never waits for what may be slow or down."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Protocol

from scmmlab.tracking.events import Epochs, ReportMade, StudyEnded, StudyStarted, TrackingEvent, merged
from scmmlab.tracking.trouble import reason

_log = logging.getLogger(__name__)

_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 30.0
_TRIES_OF_ONE_EVENT = 3
_TRIES_WHERE_IT_MAY_PASS = 20
_ALWAYS_QUEUED = (StudyStarted, ReportMade, StudyEnded)
"""What the other events build on, and what ends a study: a handful, queued however full the queue is."""


class View(Protocol):
    """Where events are shown."""

    def write(self, event: TrackingEvent) -> None:
        """Show an event. May raise anything; it is then asked to show the same event again."""

    def reachable(self) -> bool:
        """Whether the view answers at all. Never raises."""

    def may_pass(self, error: Exception) -> bool:
        """Whether what `write` raised is trouble of the view's own (a full disk), and not of the event's."""


class Writer:
    """Queues events in memory, and writes them to a view by a thread of its own.

    While the view does not answer, events wait and are tried again, in order. Dropped are events that find the queue
    full, those that the view refuses three times though it answers, and what still waits when closing takes too long.
    They are counted, and the first trouble is logged as a warning. Why nothing is kept on disk:
    `docs/decisions/0024-mlflow-while-it-is-away.md`.

    Parameters
    ----------
    make_view : callable
        Makes the view, in the thread (importing and connecting may take seconds).
    linger_s : float
        How long epochs may gather into one request.
    retry_s : float
        How long `close` retries a view that does not answer.
    longest_close_s : float
        How long `close` waits for a slow view.
    most_points, most_results : int
        Epochs, and other events, that may wait.
    """

    def __init__(
        self,
        make_view: Callable[[], View],
        linger_s: float = 2.0,
        retry_s: float = 20.0,
        longest_close_s: float = 120.0,
        most_points: int = 100_000,
        most_results: int = 5_000,
    ):
        self._make_view = make_view
        self._linger_s, self._retry_s, self._longest_close_s = linger_s, retry_s, longest_close_s
        self._most_points, self._most_results = most_points, most_results
        self._queue: list[TrackingEvent] = []
        self._points = self._results = 0
        self._changed = threading.Condition()
        self._hurry = self._closing = self._closed = False
        self._retry_until: float | None = None
        self._closing_until = float("inf")
        self._view: View | None = None
        self._warned = False
        self.errors = 0
        """Times that the view raised."""
        self.dropped = 0
        """Events that were not written."""
        self._thread = threading.Thread(target=self._run, name="scmmlab-tracking", daemon=True)
        self._thread.start()

    def put(self, event: TrackingEvent) -> None:
        """Have `event` written, soon. Returns at once, and never raises."""
        with self._changed:
            if self._closing:
                return
            if isinstance(event, Epochs):
                full = self._points >= self._most_points
            else:
                full = self._results >= self._most_results and not isinstance(event, _ALWAYS_QUEUED)
                self._hurry = True
            if full:
                self.dropped += 1
                return
            self._count(event, 1)
            self._queue.append(event)
            self._changed.notify_all()

    def close(self) -> None:
        """Wait until all is written; not for ever where the view is slow, or does not answer."""
        with self._changed:
            self._closing = True
            self._closing_until = min(self._closing_until, time.monotonic() + self._longest_close_s)
            self._changed.notify_all()
        self._thread.join()
        if not self._closed and self.dropped:
            _log.warning(
                "%d tracking events were not written. Nothing is lost: results are in the store, and "
                "'scmmlab mlflow sync' writes them to MLflow.",
                self.dropped,
            )
        self._closed = True

    # --- in the thread

    def _run(self) -> None:
        while events := self._take():
            for position, event in enumerate(events):
                if not self._write(event):
                    self.dropped += len(events) - position + len(self._queue)
                    return
                with self._changed:
                    self._count(event, -1)

    def _take(self) -> list[TrackingEvent]:
        """Wait until there is something to write; nothing when the writer is closed and all is written."""
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._closing)
            if not self._hurry:
                self._changed.wait_for(lambda: self._hurry or self._closing, timeout=self._linger_s)
            events, self._queue, self._hurry = self._queue, [], False
        return merged(events)

    def _count(self, event: TrackingEvent, sign: int) -> None:
        if isinstance(event, Epochs):
            self._points += sign * len(event.points)
        else:
            self._results += sign

    def _write(self, event: TrackingEvent) -> bool:
        """Write one event, trying again as long as it takes; False when there is no more time for it."""
        pause, tries = _FIRST_PAUSE_S, 0
        while time.monotonic() < self._closing_until:
            try:
                if self._view is None:
                    self._view = self._make_view()
                self._view.write(event)
                self._retry_until = None
                return True
            except Exception as error:
                self.errors += 1
                self._warn(error)
                may_pass = self._view is None or self._view.may_pass(error)
            tries += self._view is not None and self._view.reachable()
            if tries >= (_TRIES_WHERE_IT_MAY_PASS if may_pass else _TRIES_OF_ONE_EVENT):
                self.dropped += 1
                return True
            if not self._pause(pause):
                return False
            pause = min(2 * pause, _LONGEST_PAUSE_S)
        return False

    def _pause(self, seconds: float) -> bool:
        """Wait before the next try; once closing, False when the time for retries is over."""
        with self._changed:
            if not self._closing:
                self._changed.wait_for(lambda: self._closing, timeout=seconds)
                return True
        now = time.monotonic()
        self._retry_until = self._retry_until or now + self._retry_s
        if now >= self._retry_until:
            return False
        time.sleep(min(seconds, self._retry_until - now, 1.0))
        return True

    def _warn(self, error: Exception) -> None:
        if not self._warned:
            self._warned = True
            _log.warning("Cannot write to MLflow, will retry; the study goes on: %s", reason(error))
