"""Writes events to a view one by one, and stops with a sentence at the first that it does not take."""

from __future__ import annotations

from collections.abc import Callable

from scmmlab.errors import StoreError
from scmmlab.tracking.events import TrackingEvent
from scmmlab.tracking.trouble import reason
from scmmlab.tracking.writer import View


class DirectWriter:
    """For callers that can wait: `put` returns when the event is written.

    Parameters
    ----------
    make_view : callable
        Makes the view.
    uri : str
        Of the view, for people.

    Raises
    ------
    StoreError
        From `put`, if the view does not take the event.
    """

    errors = dropped = 0
    """It drops nothing: it raises."""

    def __init__(self, make_view: Callable[[], View], uri: str):
        self._make_view, self._uri = make_view, uri
        self._view: View | None = None
        self._failed = False

    def put(self, event: TrackingEvent) -> None:
        """Write `event`; nothing after one that was not taken."""
        if self._failed:
            return
        try:
            if self._view is None:
                self._view = self._make_view()
            self._view.write(event)
        except Exception as error:
            self._failed = True
            raise StoreError(
                f"Cannot write to MLflow at {self._uri}: {reason(error)}.",
                hint="fix MLflow and run the same command again; what is there already is not written twice",
            ) from error

    def close(self) -> None:
        """Nothing is left to be done."""
