"""Whether Ray's head is there: without it Ray's own calls wait, and after a minute end the program without a word."""

from __future__ import annotations

import os
import socket
import sys
import threading
import time

from scmmlab.errors import TryAgainError

LOOK_S = 1.0
"""The head is asked for a connection so often."""
ANSWER_S = 5.0
"""It has so long to take it."""
GONE_S = 30.0
"""A head that has taken none for so long is given up; one that was started again with its memory is back sooner."""
LAST_S = 15.0
"""After these, a program that waits inside Ray for a lost head is ended here: Ray would end it a little later."""


class HeadWatch(threading.Thread):
    """Asks the head that this program is connected to whether it is there, until it is stopped.

    Whoever waits for Ray calls `check` in between. A call of Ray's that waits for a lost head may hold the main thread
    for longer; then this thread ends the program in its place, with the same message and exit status: what is finished
    is in the store.

    Parameters
    ----------
    address : str
        HOST:PORT of the head.
    logs : str
        Folder of Ray's logs, for the message.
    """

    def __init__(self, address: str, logs: str) -> None:
        super().__init__(name="scmmlab-head", daemon=True)
        self.address = address
        self._logs = logs
        # since it was first asked in vain, not since it last answered: this program may have been suspended in between
        self._silent_since: float | None = None
        self._stop = threading.Event()

    @property
    def silent(self) -> bool:
        """Whether it does not answer at the moment."""
        return self._silent_since is not None

    @property
    def gone(self) -> bool:
        """Whether it has not answered for so long that it is given up."""
        return self._silent_s() > GONE_S

    def _silent_s(self) -> float:
        since = self._silent_since
        return 0.0 if since is None else time.monotonic() - since

    def check(self) -> None:
        """Go on only where there is a head, or may be one again.

        Raises
        ------
        TryAgainError
            Where it is given up.
        """
        if self.gone:
            raise self.loss(f"it has not answered for {GONE_S:g} s")

    def loss(self, why: str) -> TryAgainError:
        """The error that says that the head is gone."""
        return TryAgainError(
            f"Ray's head at {self.address} is lost: {why}.",
            hint="what is finished is kept; with a head that runs, the same command goes on (RAY_ADDRESS names it, if "
            f"it is another). Ray's logs are in {self._logs}",
        )

    def answers(self) -> bool:
        """Ask it."""
        host, _, port = self.address.rpartition(":")
        try:
            socket.create_connection((host.strip("[]"), int(port)), ANSWER_S).close()
        except OSError:
            return False
        return True

    def stop(self) -> None:
        """Ask no more."""
        self._stop.set()

    def run(self) -> None:
        """Ask, until it is to be asked no more."""
        while not self._stop.wait(LOOK_S):
            asked_at = time.monotonic()
            if self.answers():
                self._silent_since = None
            elif self._silent_since is None:
                self._silent_since = asked_at
            elif self._silent_s() > GONE_S + LAST_S:
                self._end()

    def _end(self) -> None:
        error = self.loss(f"it has not answered for {GONE_S + LAST_S:g} s, and Ray still waits for it")
        print(f"scmmlab: {error.message}\nHint: {error.hint}", file=sys.stderr, flush=True)
        os._exit(error.exit_status)
