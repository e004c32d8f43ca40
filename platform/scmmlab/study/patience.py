"""Waiting for a store that has worked and now refuses: a full disk, a server that restarts, a network that is away."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from pyarrow import ArrowException

_log = logging.getLogger(__name__)

PATIENCE_S = 300.0
"""A store that has worked is waited for so long, at each access."""

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 10.0
# what does not mend itself
_FOR_GOOD = (NotADirectoryError, IsADirectoryError)

Result = TypeVar("Result")


class Patience:
    """Tries an access again while it is refused, within a bound.

    One that was never granted is not tried again: a misspelt bucket, or credentials that may not write, are told at
    once. One that was granted before is believed to come back.

    Parameters
    ----------
    limit_s : float
        So long after the first refusal the access is given up.
    sleep, clock : callable
        As `time.sleep` and `time.monotonic`.
    """

    def __init__(
        self,
        limit_s: float = PATIENCE_S,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ):
        self._limit_s, self._sleep, self._clock = limit_s, sleep, clock
        self._granted: set[str] = set()

    def has_granted(self, kind: str) -> bool:
        """Whether the store has granted such an access before."""
        return kind in self._granted

    def access(self, kind: str, what: str, action: Callable[[], Result]) -> Result:
        """The result of `action`, once it is granted.

        Parameters
        ----------
        kind : str
            ``read`` or ``write``: what is granted or refused together.
        what : str
            For the warnings, such as ``write 'cells/k.json' in runs``.
        action : callable
            Can be called again after it has raised.

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
                if kind not in self._granted or left <= 0:
                    raise
                if pause == _FIRST_PAUSE_S:
                    _log.warning(
                        "Cannot %s: %s. Nothing is lost; it is tried again for another %.0f s.",
                        what,
                        first_line(error),
                        left,
                    )
                self._sleep(min(pause, left))
                pause = min(2 * pause, _LONGEST_PAUSE_S)
                continue
            if pause > _FIRST_PAUSE_S:
                _log.warning("Could %s after %.0f s.", what, self._clock() - begun)
            self._granted.add(kind)
            return result


def first_line(error: BaseException) -> str:
    """The first line of an error's message, without its full stop."""
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
