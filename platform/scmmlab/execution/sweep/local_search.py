"""The search without Ray: settings are sampled and stopped by the same rules, and share this process's slots."""

from __future__ import annotations

from collections.abc import Mapping

from scmmlab.execution.events import EpochEnded, Event, TaskEnded
from scmmlab.execution.local_engine import LocalEngine
from scmmlab.execution.sweep.optuna_study import OptunaBook
from scmmlab.execution.sweep.search import Checkpoints, Heard, Search
from scmmlab.study import Plan
from scmmlab.tracking import TuneTrialRecord
from scmmlab.training import StageFailure


class LocalSearch(Search):
    """Tries as many settings at a time as the study says.

    Parameters
    ----------
    engine : LocalEngine
        Trains the settings, an epoch of all at each step.
    plan, ended, book, checkpoints
        As of :class:`Search`.
    """

    def __init__(
        self,
        engine: LocalEngine,
        plan: Plan,
        ended: Mapping[int, TuneTrialRecord],
        book: OptunaBook,
        checkpoints: Checkpoints,
    ):
        super().__init__(plan, ended, book, checkpoints)
        self._engine = engine

    def step(self, heard: Heard, timeout_s: float) -> list[TuneTrialRecord]:
        """Train what is sampled, and what was being trained, through an epoch."""
        while self._ready and len(self._settings) < self._concurrency:
            setting = self._ready.popleft()
            assert setting.task is not None, "what cannot be trained is concluded when it is sampled"
            (key,) = setting.task.keys
            self._settings[key] = setting
            self._engine.submit(setting.task)

        def listen(event: Event) -> None:
            if isinstance(event, EpochEnded):
                if not self._probed(self._settings[event.key], event.epoch, event.metrics["probe"]):
                    self._engine.cancel(event.key)
            elif isinstance(event, TaskEnded):
                self._ended_with(event)
            heard(event)

        self._engine.step(listen, timeout_s)
        return self._take_records()

    def stop(self) -> None:
        """Nothing is going on between two steps."""

    def _ended_with(self, event: TaskEnded) -> None:
        (outcome,) = event.outcomes
        setting = self._settings.pop(outcome.key)
        if isinstance(outcome, StageFailure) and not setting.concluded:
            setting.error, setting.cause = outcome.error, outcome.cause
        self._over(setting)
