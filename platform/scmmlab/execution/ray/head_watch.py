"""Whether Ray's head is there: without it Ray's own calls wait, and after a minute end the program without a word."""

from __future__ import annotations

import socket
import threading
import time

import ray

from scmmlab.errors import TryAgainError

LOOK_S = 1.0
"""The head is asked for a connection so often."""
ANSWER_S = 5.0
"""It has so long to take it."""
GONE_S = 30.0
"""A head that has taken none for so long is given up; one that was started again with its memory is back sooner."""


class HeadWatch(threading.Thread):
    """Asks the head that this program is connected to, for as long as the program runs."""

    def __init__(self) -> None:
        super().__init__(name="scmmlab-head", daemon=True)
        self.address: str = ray.get_runtime_context().gcs_address
        """HOST:PORT."""
        self._answered_at = time.monotonic()
        self._silent = False
        self._stop = threading.Event()

    @property
    def silent(self) -> bool:
        """Whether it does not answer at the moment."""
        return self._silent

    @property
    def gone(self) -> bool:
        """Whether it has not answered for so long that it is given up."""
        return self._silent and time.monotonic() - self._answered_at > GONE_S

    def check(self, logs: str | None) -> None:
        """Go on only where there is a head, or may be one again.

        Raises
        ------
        TryAgainError
            Where it is given up.
        """
        if self.gone:
            raise self.loss(f"it has not answered for {GONE_S:g} s", logs)

    def loss(self, why: str, logs: str | None) -> TryAgainError:
        """The error that says that the head is gone."""
        return TryAgainError(
            f"Ray's head at {self.address} is lost: {why}.",
            hint="what is finished is kept; with a head that runs, the same command goes on (RAY_ADDRESS names it, if "
            f"it is another). Ray's logs are in {logs}",
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
            self._silent = not self.answers()
            if not self._silent:
                self._answered_at = time.monotonic()
