"""Whether Ray's head is alive: without it Ray's own calls hang, and after a minute end the program silently."""

from __future__ import annotations

import socket
import threading
import time

import ray

from scmmlab.errors import TryAgainError

LOOK_S = 1.0
"""How often a connection to the head is tried."""
ANSWER_S = 5.0
"""It has so long to accept it."""
GONE_S = 30.0
"""A head that has accepted none for so long is given up; one that is restarted with its state is back sooner."""


class HeadWatch(threading.Thread):
    """Watches the head that this program is connected to, for as long as the program runs."""

    def __init__(self) -> None:
        super().__init__(name="scmmlab-head", daemon=True)
        self.address: str = ray.get_runtime_context().gcs_address
        """HOST:PORT."""
        self._answered_at = time.monotonic()
        self._silent = False
        self._stop = threading.Event()

    @property
    def silent(self) -> bool:
        """Whether it does not answer now."""
        return self._silent

    @property
    def gone(self) -> bool:
        """Whether it has not answered for so long that it is given up."""
        return self._silent and time.monotonic() - self._answered_at > GONE_S

    def check(self, logs: str | None) -> None:
        """Go on only where the head is alive, or may come back.

        Raises
        ------
        TryAgainError
            Where it is given up.
        """
        if self.gone:
            raise self.loss(f"it has not answered for {GONE_S:g} s", logs)

    def loss(self, why: str, logs: str | None) -> TryAgainError:
        """The error that says that the head is lost."""
        return TryAgainError(
            f"Ray's head at {self.address} is lost: {why}.",
            hint="finished work is kept; once a head is running, the same command resumes (set RAY_ADDRESS if it is "
            f"another one). Ray's logs are in {logs}",
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
            self._silent = not self.answers()
            if not self._silent:
                self._answered_at = time.monotonic()
