"""Whether Ray's head is alive: without it Ray's own calls hang, and after a minute end the program silently."""

from __future__ import annotations

import os
import socket
import sys
import threading
import time

from scmmlab.errors import TryAgainError

LOOK_S = 1.0
"""How often a connection to the head is tried."""
ANSWER_S = 5.0
"""It has so long to accept it."""
GONE_S = 30.0
"""A head that has accepted none for so long is given up; one that is restarted with its state is back sooner."""
HANG_S = 15.0
"""After so long besides, a program that hangs inside Ray is ended here: Ray would end it a little later."""


class HeadWatch(threading.Thread):
    """Watches the head that this program is connected to, until it is stopped.

    Whoever waits for Ray calls `check` in between. A call to Ray that hangs on a lost head may hold the main thread for
    longer; then this thread ends the program in its place, with the same message and exit status: finished work is in
    the store.

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
        # since the first failed connection, not since the last good one: this program may have been suspended meanwhile
        self._silent_since: float | None = None
        self._stop = threading.Event()

    @property
    def silent(self) -> bool:
        """Whether it does not answer now."""
        return self._silent_since is not None

    @property
    def gone(self) -> bool:
        """Whether it has not answered for so long that it is given up."""
        return self._silent_s() > GONE_S

    def _silent_s(self) -> float:
        since = self._silent_since
        return 0.0 if since is None else time.monotonic() - since

    def check(self) -> None:
        """Go on only where the head is alive, or may come back.

        Raises
        ------
        TryAgainError
            Where it is given up.
        """
        if self.gone:
            raise self.loss(f"it has not answered for {GONE_S:g} s")

    def loss(self, why: str) -> TryAgainError:
        """The error that says that the head is lost."""
        return TryAgainError(
            f"Ray's head at {self.address} is lost: {why}.",
            hint="finished work is kept; once a head is running, the same command resumes the run (set RAY_ADDRESS if "
            f"it is another one). Ray's logs are in {self._logs}",
        )

    def answers(self) -> bool:
        """Whether it accepts a connection."""
        host, _, port = self.address.rpartition(":")
        try:
            socket.create_connection((host.strip("[]"), int(port)), ANSWER_S).close()
        except OSError:
            return False
        return True

    def stop(self) -> None:
        """Stop watching."""
        self._stop.set()

    def run(self) -> None:
        """Watch until `stop`."""
        while not self._stop.wait(LOOK_S):
            asked_at = time.monotonic()
            if self.answers():
                self._silent_since = None
            elif self._silent_since is None:
                self._silent_since = asked_at
            elif self._silent_s() > GONE_S + HANG_S:
                self._end()

    def _end(self) -> None:
        error = self.loss(f"it has not answered for {GONE_S + HANG_S:g} s, and Ray still hangs")
        print(f"scmmlab: {error.message}\nHint: {error.hint}", file=sys.stderr, flush=True)
        os._exit(error.exit_status)
