"""Writes events to a view in order, so that training never waits for what may be slow, full or down."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from scmmlab.tracking.events import Epochs, Event, merged
from scmmlab.tracking.spool import MOST_BYTES, Spool
from scmmlab.tracking.trouble import reason

_log = logging.getLogger(__name__)

_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 30.0
_TRIES_OF_ONE_EVENT = 3
_TRIES_WHERE_IT_MAY_PASS = 20
_GATHER_S = 0.2
"""How long events gather before they are written to disk together."""


class View(Protocol):
    """Where events are shown."""

    def write(self, event: Event) -> None:
        """Show an event. May raise anything; it is then asked to show the same event again."""

    def reachable(self) -> bool:
        """Whether the view answers at all. Never raises."""

    def may_pass(self, error: Exception) -> bool:
        """Whether what `write` raised is trouble of the view's own (a full disk), and not of the event's."""


class Writer:
    """Takes events at once, and hands them to a view by two threads of its own.

    The first puts events on disk (see `Spool`), the second writes them to the view. While the view does not answer,
    events wait there and are tried again, in order; what still waits at the end is written by the next writer with the
    same spool. An event that the view refuses three times though it answers is left out, and so are events that find
    the spool full. What was left out is counted, and the first trouble is said once as a warning.

    Parameters
    ----------
    make_view : callable
        Makes the view, in the thread (importing and connecting may take seconds).
    spool : Path | None
        File for events that wait; in memory when None.
    linger_s : float
        How long epochs may gather into one request.
    retry_s : float
        How long `close` waits for a view that does not answer.
    longest_close_s : float
        How long `close` waits for a slow one, where what waits is on disk.
    most_points : int
        Epochs that may wait in memory; more are left out (a finished cell's record holds them all).
    most_bytes : int
        How large the spool may get.
    """

    def __init__(
        self,
        make_view: Callable[[], View],
        spool: Path | None = None,
        linger_s: float = 2.0,
        retry_s: float = 20.0,
        longest_close_s: float = 120.0,
        most_points: int = 100_000,
        most_bytes: int = MOST_BYTES,
    ):
        self._make_view = make_view
        self._linger_s, self._patience_s, self._longest_close_s = linger_s, retry_s, longest_close_s
        self._most_points = most_points
        self._spool = Spool(spool, most_bytes)
        self._came: list[Event] = []
        self._points = 0
        self._changed = threading.Condition()
        self._hurry = bool(self._spool.unread)
        self._closing = self._all_spooled = self._closed = False
        self._patient_until: float | None = None
        self._closing_until = float("inf")
        self._view: View | None = None
        self._warned = False
        self.errors = 0
        """Times that the view raised."""
        self.left_out = 0
        """Events that were given up."""
        self.kept = 0
        """Events that wait on disk for the next writer; known when closed."""
        self._threads = [
            threading.Thread(target=target, name=f"scmmlab-tracking-{name}", daemon=True)
            for name, target in (("spool", self._run_spool), ("view", self._run_view))
        ]
        for thread in self._threads:
            thread.start()

    def put(self, event: Event) -> None:
        """Have `event` written, soon. Returns at once, and never raises."""
        with self._changed:
            if self._closing:
                return
            if isinstance(event, Epochs):
                if self._points + self._spool.epochs_in_memory >= self._most_points:
                    self.left_out += 1
                    return
                self._points += len(event.points)
            else:
                self._hurry = True
            self._came.append(event)
            self._changed.notify_all()

    def close(self) -> None:
        """Wait until all is written; not for ever where the view is slow, or does not answer."""
        with self._changed:
            self._closing = True
            if self._spool.on_disk:
                self._closing_until = time.monotonic() + self._longest_close_s
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()
        if self._closed:
            return
        self._closed = True
        self._spool.close(all_shown=not self.kept)
        if self.kept:
            _log.warning(
                "%d tracking events wait in %s: the next run, or scmmlab mlflow sync, writes them.",
                self.kept,
                self._spool.path,
            )
        if self.left_out:
            _log.warning(
                "%d tracking events were left out. Nothing is lost: results are in the store, and running the study "
                "again, or scmmlab mlflow sync, shows them.",
                self.left_out,
            )

    # --- in the first thread

    def _run_spool(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._came or self._closing)
                self._changed.wait_for(lambda: self._closing, timeout=_GATHER_S if self._spool.path else 0)
                events, points = self._came, self._points
                self._came = []
                if not events:
                    self._all_spooled = True
                    self._changed.notify_all()
                    return
            left_out = self._spool.append(merged(events))
            with self._changed:
                self._points -= points
                self.left_out += left_out
                self._changed.notify_all()

    # --- in the second thread

    def _run_view(self) -> None:
        while self._wait():
            events = merged(self._spool.take())
            for position, event in enumerate(events):
                if not self._write(event):
                    self._give_up(len(events) - position)
                    return
            self._spool.settle()

    def _wait(self) -> bool:
        """Wait until there is something to write; False when the writer is closed and all is written."""
        with self._changed:
            self._changed.wait_for(lambda: self._spool.unread or self._all_spooled)
            if not self._hurry:
                self._changed.wait_for(lambda: self._closing, timeout=self._linger_s)
            if self._closing:
                self._changed.wait_for(lambda: self._all_spooled)
            self._hurry = False
            return self._spool.unread > 0

    def _write(self, event: Event) -> bool:
        """Write one event, trying again as long as it takes; False when there is no more time for it."""
        pause, tries = _FIRST_PAUSE_S, 0
        while time.monotonic() < self._closing_until:
            try:
                if self._view is None:
                    self._view = self._make_view()
                self._view.write(event)
                self._patient_until = None
                return True
            except Exception as error:
                self.errors += 1
                self._warn(error)
                may_pass = self._view is None or self._view.may_pass(error)
            tries += self._view is not None and self._view.reachable()
            if tries >= (_TRIES_WHERE_IT_MAY_PASS if may_pass else _TRIES_OF_ONE_EVENT):
                self.left_out += 1
                return True
            if not self._pause(pause):
                return False
            pause = min(2 * pause, _LONGEST_PAUSE_S)
        return False

    def _pause(self, seconds: float) -> bool:
        """Wait before the next try; once closing, only until the patience ends, and False from then on."""
        with self._changed:
            if not self._closing:
                self._changed.wait_for(lambda: self._closing, timeout=seconds)
                return True
        now = time.monotonic()
        self._patient_until = self._patient_until or now + self._patience_s
        if now >= self._patient_until:
            return False
        time.sleep(min(seconds, self._patient_until - now, 1.0))
        return True

    def _give_up(self, taken: int) -> None:
        """There is no more time: what is on disk stays there, what is in memory alone is left out."""
        with self._changed:
            self._changed.wait_for(lambda: self._all_spooled)
        if self._spool.on_disk:
            self.kept = taken + self._spool.unread
        else:
            self.left_out += taken + self._spool.unread

    def _warn(self, error: Exception) -> None:
        if not self._warned:
            self._warned = True
            _log.warning("Tracking is in trouble and will be tried again; the study goes on: %s", reason(error))
