"""The search of a sweep: settings are sampled, trained by an engine, stopped and recorded in the order of the sweep.

It is the same on every engine. :class:`TuneSearch` shows it in Ray Tune besides.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace

from scmmlab.config import SweepSpec
from scmmlab.execution.engine import Engine, OnEvent
from scmmlab.execution.events import EngineEvent, EpochEnded, TaskEnded
from scmmlab.execution.sweep.optuna_study import OptunaStudyAdapter
from scmmlab.execution.sweep.order import SweepOrder
from scmmlab.execution.sweep.rungs import Rungs
from scmmlab.execution.sweep.setting import SampledSetting, longest, make_setting
from scmmlab.execution.task import Outcome, Task
from scmmlab.study import Plan
from scmmlab.tracking import TuneTrialRecord
from scmmlab.training import StageFailure

Checkpoints = Callable[[str], dict[tuple[str, str], bytes]]
"""Key of a training → its checkpoints of an earlier run."""


class Search:
    """Tries the settings of a sweep that have not ended yet, as many at a time as the study says.

    Parameters
    ----------
    engine : Engine
        Trains; entered.
    plan : Plan
        The sweep.
    ended : mapping of int to TuneTrialRecord
        What earlier runs have finished, by number.
    adapter : OptunaStudyAdapter
        Samples.
    checkpoints : callable
        See `Checkpoints`.
    """

    def __init__(
        self,
        engine: Engine,
        plan: Plan,
        ended: Mapping[int, TuneTrialRecord],
        adapter: OptunaStudyAdapter,
        checkpoints: Checkpoints,
    ):
        study = plan.study
        assert isinstance(study, SweepSpec)
        self._engine, self._plan, self._adapter, self._checkpoints = engine, plan, adapter, checkpoints
        self._concurrency, self._ended = study.concurrency, ended
        self._training: dict[str, SampledSetting] = {}
        """Settings that the engine has, by the key of their training."""
        self._ready: deque[SampledSetting] = deque()
        """Settings that are sampled, and that the engine does not have yet."""
        self._records: list[TuneTrialRecord] = []
        self._left = self._unsampled = sum(number not in ended for number in range(study.tune_trials))
        self._order = SweepOrder(
            range(study.tune_trials),
            study.concurrency,
            study.synchronous and study.order_matters,
            Rungs(study.asha, longest(study)),
            self._sample,
            self._judge,
            self._conclude,
        )
        self._order.advance()

    @property
    def done(self) -> bool:
        """Whether every setting has its record."""
        return self._left == 0

    @property
    def running(self) -> int:
        """Settings that are being trained."""
        return len(self._training)

    def step(self, on_event: OnEvent, timeout_s: float) -> list[TuneTrialRecord]:
        """Let the search continue.

        Parameters
        ----------
        on_event : callable
            Gets the engine's events.
        timeout_s : float
            Returns after so long at the latest if nothing happened.

        Returns
        -------
        list of TuneTrialRecord
            Of the settings that have ended since the last call.
        """

        def listen(event: EngineEvent) -> None:
            match event:
                case EpochEnded():
                    self._report(event)
                case TaskEnded():
                    for outcome in event.outcomes:
                        self._end(outcome)
            on_event(event)

        self._submit_ready()
        self._engine.step(listen, timeout_s)
        self._submit_ready()
        records, self._records = self._records, []
        self._left -= len(records)
        return records

    def stop(self) -> None:
        """Abandon what is being tried; the engine does it when it is left."""

    def _submit_ready(self) -> None:
        while self._ready and len(self._training) < self._concurrency:
            setting = self._ready.popleft()
            assert setting.task is not None, "what cannot be trained is concluded when it is sampled"
            (key,) = setting.task.keys
            self._training[key] = setting
            self._submit(setting.task)

    def _submit(self, task: Task) -> None:
        self._engine.submit(task)

    # --- what the engine reports

    def _report(self, event: EpochEnded) -> None:
        """A setting has a probe; its training is stopped where it does not go on."""
        setting = self._training.get(event.key)
        if setting is None:  # it was stopped, and reported meanwhile
            return
        setting.add_probe(event.epoch, event.metrics["probe"])
        self._order.advance()
        if setting.concluded or setting.error is not None:
            del self._training[event.key]
            self._engine.cancel(event.key)
            self._finish(setting)

    def _end(self, outcome: Outcome) -> None:
        """The training of a setting has ended."""
        setting = self._training.pop(outcome.key, None)
        if setting is None:
            return
        if isinstance(outcome, StageFailure) and not setting.concluded:
            setting.error, setting.cause = outcome.error, outcome.cause
        self._finish(setting)

    def _finish(self, setting: SampledSetting) -> None:
        setting.over = True
        self._order.advance()

    # --- what the order of the sweep decides

    def _sample(self, number: int) -> SampledSetting:
        known = self._ended.get(number)
        self._unsampled -= known is None
        setting = make_setting(self._plan, number, self._adapter.ask(number, known.params if known else None))
        if known is not None:
            setting.replay(known)
        elif setting.task is not None:
            (key,) = setting.task.keys
            setting.task = replace(setting.task, checkpoints=self._checkpoints(key))
            self._ready.append(setting)
        return setting

    def _judge(self, setting: SampledSetting, epoch: int, value: float) -> None:
        self._adapter.report(setting.number, epoch, value)

    def _conclude(self, setting: SampledSetting) -> None:
        setting.concluded = True
        record = setting.record()
        self._adapter.tell(record)
        if setting.known is None:
            self._records.append(record)
