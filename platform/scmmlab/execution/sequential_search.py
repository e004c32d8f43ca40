"""The search without Ray: one setting after the other, sampled and pruned by the same rules."""

from __future__ import annotations

from collections.abc import Sequence

from scmmlab.execution.engine import Engine
from scmmlab.execution.events import EpochEnded, Event, TaskEnded
from scmmlab.execution.optuna_book import OptunaBook
from scmmlab.execution.rungs import RungDecision, Rungs
from scmmlab.execution.search import Checkpoints, Heard, Search
from scmmlab.execution.sweep_setting import Setting
from scmmlab.study import Plan
from scmmlab.tracking import TuneTrialRecord
from scmmlab.training import StageFailure


class SequentialSearch(Search):
    """Tries one setting at a time.

    Parameters
    ----------
    engine : Engine
        Runs the settings.
    plan, numbers, book, rungs, checkpoints
        As of :class:`Search`.
    """

    def __init__(
        self,
        engine: Engine,
        plan: Plan,
        numbers: Sequence[int],
        book: OptunaBook,
        rungs: Rungs,
        checkpoints: Checkpoints,
    ):
        super().__init__(plan, numbers, book, rungs, checkpoints)
        self._engine = engine
        self._setting: Setting | None = None
        self._ended = False

    @property
    def done(self) -> bool:
        """Whether every number has its record."""
        return not self._numbers and self._setting is None

    @property
    def running(self) -> int:
        """Settings that are being tried."""
        return int(self._setting is not None)

    def step(self, heard: Heard, timeout_s: float) -> list[TuneTrialRecord]:
        """Try the next setting, or go on with the one that is being tried."""
        if self._setting is None:
            self._setting = self._next()
            self._ended = self._setting.task is None
            if self._setting.task is not None:
                self._engine.submit(self._setting.task)
        setting = self._setting

        def listen(event: Event) -> None:
            if isinstance(event, EpochEnded):
                self._probed(setting, event)
            elif isinstance(event, TaskEnded):
                (outcome,) = event.outcomes
                self._ended = True
                if isinstance(outcome, StageFailure):
                    setting.error = outcome.error
            heard(event)

        if not self._ended:
            self._engine.step(listen, timeout_s)
        if not self._ended:
            return []
        self._setting = None
        record = setting.record()
        self._book.tell(record)
        return [record]

    def stop(self) -> None:
        """Nothing is going on between two steps."""

    def _probed(self, setting: Setting, event: EpochEnded) -> None:
        value = event.metrics["probe"]
        if not setting.add_probe(event.epoch, value):
            return
        self._book.report(setting.number, event.epoch, value)
        stops = self._rungs.report(setting.number, event.epoch, value) is RungDecision.STOP
        if stops and event.epoch < event.epochs:
            setting.stopped = True
            self._engine.cancel(event.key)
