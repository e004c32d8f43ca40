"""What searches have in common: settings come from the book, probes go to the rungs, and records come out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

from scmmlab.execution.events import Event
from scmmlab.execution.optuna_book import OptunaBook
from scmmlab.execution.rungs import Rungs
from scmmlab.execution.sweep_setting import Setting, make_setting
from scmmlab.study import Plan
from scmmlab.tracking import TuneTrialRecord

Heard = Callable[[Event], None]
Checkpoints = Callable[[str], dict[tuple[str, str], bytes]]


class Search(ABC):
    """Tries the settings of some numbers.

    Parameters
    ----------
    plan : Plan
        The sweep.
    numbers : sequence of int
        Of the tune_trials that are missing.
    book : OptunaBook
        Samples.
    rungs : Rungs
        Prune.
    checkpoints : callable
        Key of a training → its checkpoints of an earlier run.
    """

    def __init__(self, plan: Plan, numbers: Sequence[int], book: OptunaBook, rungs: Rungs, checkpoints: Checkpoints):
        self._plan = plan
        self._numbers = list(numbers)
        self._book = book
        self._rungs = rungs
        self._checkpoints = checkpoints

    @property
    @abstractmethod
    def done(self) -> bool:
        """Whether every number has its record."""

    @property
    @abstractmethod
    def running(self) -> int:
        """Settings that are being tried."""

    @abstractmethod
    def step(self, heard: Heard, timeout_s: float) -> list[TuneTrialRecord]:
        """Let the search go on; records of what has ended since, and to `heard` the engine's events."""

    @abstractmethod
    def stop(self) -> None:
        """Abandon what is being tried."""

    def _next(self) -> Setting:
        """Sample the next setting."""
        number = self._numbers.pop(0)
        setting = make_setting(self._plan, number, self._book.ask(number))
        if setting.task is not None:
            (key,) = setting.task.keys
            setting.task = type(setting.task)(setting.task.id, setting.task.requests, self._checkpoints(key))
        return setting
