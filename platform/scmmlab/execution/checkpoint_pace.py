"""How often a checkpoint is worth passing on: work of seconds is repeated faster than it is saved and found again."""

from __future__ import annotations

CHECKPOINT_S = 5.0
"""Seconds of work that may be lost beside the epochs since the last checkpoint."""


class CheckpointPace:
    """Lets a checkpoint of a training pass when the last one that passed is some seconds old.

    Parameters
    ----------
    seconds : float
        How old.
    now : float
        When the work began.
    """

    def __init__(self, seconds: float, now: float):
        self._seconds = seconds
        self._began = now
        self._last: dict[tuple[str, str], float] = {}

    def due(self, key: str, stage: str, now: float) -> bool:
        """Whether the checkpoint of (`key`, `stage`) that is made `now` should pass."""
        if now - self._last.get((key, stage), self._began) < self._seconds:
            return False
        self._last[key, stage] = now
        return True
