"""The search without Ray: settings are sampled and pruned by the same rules, and share this process's slots."""

from __future__ import annotations

from collections.abc import Sequence

from scmmlab.execution.events import EpochEnded, Event, TaskEnded
from scmmlab.execution.local import LocalEngine
from scmmlab.execution.optuna_book import OptunaBook
from scmmlab.execution.rungs import Rungs
from scmmlab.execution.search import Checkpoints, Heard, Search
from scmmlab.study import Plan
from scmmlab.tracking import TuneTrialRecord
from scmmlab.training import StageFailure


class LocalSearch(Search):
    """Tries as many settings at a time as the study says.

    Parameters
    ----------
    engine : LocalEngine
        Trains the settings, an epoch of all at each step.
    plan, numbers, book, rungs, checkpoints
        As of :class:`Search`.
    """

    def __init__(
        self,
        engine: LocalEngine,
        plan: Plan,
        numbers: Sequence[int],
        book: OptunaBook,
        rungs: Rungs,
        checkpoints: Checkpoints,
    ):
        super().__init__(plan, numbers, book, rungs, checkpoints)
        self._engine = engine

    @property
    def done(self) -> bool:
        """Whether every number has its record."""
        return not self._numbers and not self._settings

    def step(self, heard: Heard, timeout_s: float) -> list[TuneTrialRecord]:
        """Sample as many settings as are missing, and train all that are tried through an epoch."""
        records = []
        while self._numbers and len(self._settings) < self._concurrency:
            setting = self._next()
            if setting.task is None:
                records.append(self._conclude(setting))
                continue
            (key,) = setting.task.keys
            self._settings[key] = setting
            self._engine.submit(setting.task)

        def listen(event: Event) -> None:
            if isinstance(event, EpochEnded):
                self._probed(event)
            elif isinstance(event, TaskEnded):
                records.extend(self._ended(event))
            heard(event)

        self._engine.step(listen, timeout_s)
        return records

    def stop(self) -> None:
        """Nothing is going on between two steps."""

    def _ended(self, event: TaskEnded) -> list[TuneTrialRecord]:
        (outcome,) = event.outcomes
        setting = self._settings.pop(outcome.key)
        if isinstance(outcome, StageFailure):
            setting.error, setting.cause = outcome.error, outcome.cause
        return [self._conclude(setting)]

    def _probed(self, event: EpochEnded) -> None:
        if self._prune(self._settings[event.key], event.epoch, event.epochs, event.metrics["probe"]):
            self._engine.cancel(event.key)
