"""Writes events to a view one by one, and stops with a sentence at the first that it does not take."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from scmmlab.errors import StoreError
from scmmlab.tracking.events import Event
from scmmlab.tracking.spool import Spool
from scmmlab.tracking.trouble import reason
from scmmlab.tracking.writer import View


class DirectWriter:
    """For those who can wait: `put` returns when the event is written.

    Parameters
    ----------
    make_view : callable
        Makes the view.
    shown_uri : str
        Of the view, for people.
    spool : Path | None
        File in which an earlier run may have left events; they come first.

    Raises
    ------
    StoreError
        If a run is writing to the view just now; from `put`, if the view does not take the event.
    """

    errors = left_out = 0
    """It leaves nothing out: it raises."""

    def __init__(self, make_view: Callable[[], View], shown_uri: str, spool: Path | None = None):
        self._make_view, self._shown_uri = make_view, shown_uri
        self._view: View | None = None
        self._failed = False
        self._spool = Spool(spool if spool is not None and spool.exists() else None)
        if self._spool.in_use:
            raise StoreError(
                "A run of this study is going on, and writes to MLflow itself.", hint="wait until it has ended"
            )
        while self._spool.unread:
            for event in self._spool.take():
                self.put(event)
            self._spool.settle()

    def put(self, event: Event) -> None:
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
                f"MLflow at {self._shown_uri} does not take what it is told: {reason(error)}",
                hint="see to MLflow and give the same command again; what is written already is not written twice",
            ) from error

    def close(self) -> None:
        """Let go of the spool; nothing in it is wanted any more when all went well."""
        self._spool.close(all_shown=not self._failed)
