"""What searches have in common: settings come from the book, probes go to the rungs, and records come out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

from scmmlab.config import SweepSpec
from scmmlab.execution.events import Event
from scmmlab.execution.optuna_book import OptunaBook
from scmmlab.execution.rungs import RungDecision, Rungs
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
        assert isinstance(plan.study, SweepSpec)
        self._plan = plan
        self._concurrency = plan.study.concurrency
        self._settings: dict[str, Setting] = {}
        """What is being tried, by a name that is the search's own affair."""
        self._numbers = list(numbers)
        self._book = book
        self._rungs = rungs
        self._checkpoints = checkpoints

    @property
    @abstractmethod
    def done(self) -> bool:
        """Whether every number has its record."""

    @property
    def running(self) -> int:
        """Settings that are being tried."""
        return len(self._settings)

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

    def _prune(self, setting: Setting, epoch: int, epochs: int, value: float) -> bool:
        """Note a probe of a setting; whether it is to be stopped for it."""
        if not setting.add_probe(epoch, value):
            return False
        self._book.report(setting.number, epoch, value)
        stops = self._rungs.report(setting.number, epoch, value) is RungDecision.STOP
        setting.stopped = stops and epoch < epochs
        return setting.stopped

    def _conclude(self, setting: Setting) -> TuneTrialRecord:
        """The record of a setting that is over, of which the book is told."""
        record = setting.record()
        self._book.tell(record)
        return record
