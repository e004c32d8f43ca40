"""How often a checkpoint is worth sending: work of seconds is repeated faster than it is saved and restored."""

from __future__ import annotations

CHECKPOINT_S = 5.0
"""Seconds of work that may be lost besides the epochs since the last checkpoint."""


class CheckpointPace:
    """Says when the last checkpoint of a training that was sent is some seconds old.

    Parameters
    ----------
    seconds : float
        How old.
    now : float
        When the work started.
    """

    def __init__(self, seconds: float, now: float):
        self._seconds = seconds
        self._began = now
        self._last: dict[tuple[str, str], float] = {}

    def due(self, key: str, stage: str, now: float) -> bool:
        """Whether the checkpoint of (`key`, `stage`) that is made `now` is due to be sent."""
        if now - self._last.get((key, stage), self._began) < self._seconds:
            return False
        self._last[key, stage] = now
        return True
