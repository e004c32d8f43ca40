"""Retrying an access to a store that worked before: a full disk, a server that restarts, a network that is down."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from pyarrow import ArrowException

from scmmlab.errors import first_line

_log = logging.getLogger(__name__)

RETRY_S = 300.0
"""Time limit for the retries of one access."""

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 10.0
# what does not recover by itself
_FOR_GOOD = (NotADirectoryError, IsADirectoryError)

Result = TypeVar("Result")


class Retry:
    """Retries an access that fails, up to a time limit.

    Only a kind of access that has succeeded before is retried: a misspelt bucket, or credentials that may not write,
    are reported at once.

    Parameters
    ----------
    limit_s : float
        Time limit, from the first failure.
    sleep, clock : callable
        As `time.sleep` and `time.monotonic`.
    """

    def __init__(
        self,
        limit_s: float = RETRY_S,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ):
        self._limit_s, self._sleep, self._clock = limit_s, sleep, clock
        self._succeeded: set[str] = set()

    def has_succeeded(self, kind: str) -> bool:
        """Whether such an access has succeeded before."""
        return kind in self._succeeded

    def access(self, kind: str, what: str, action: Callable[[], Result]) -> Result:
        """The result of `action`, once it succeeds.

        Parameters
        ----------
        kind : str
            ``read`` or ``write``.
        what : str
            For the warnings, such as ``write 'cells/k.json' in runs``.
        action : callable
            May be called again after it has raised.

        Raises
        ------
        Exception
            What `action` raised last.
        """
        begun, pause = self._clock(), _FIRST_PAUSE_S
        while True:
            try:
                result = action()
            except _FOR_GOOD:
                raise
            except (ArrowException, OSError) as error:
                left = begun + self._limit_s - self._clock()
                if kind not in self._succeeded or left <= 0:
                    raise
                if pause == _FIRST_PAUSE_S:
                    _log.warning(
                        "Cannot %s: %s. Nothing is lost; retrying for up to %.0f s.",
                        what,
                        first_line(error),
                        left,
                    )
                self._sleep(min(pause, left))
                pause = min(2 * pause, _LONGEST_PAUSE_S)
                continue
            if pause > _FIRST_PAUSE_S:
                _log.warning("Could %s after %.0f s.", what, self._clock() - begun)
            self._succeeded.add(kind)
            return result
