"""What searches have in common: settings are sampled, judged and concluded in the order of the sweep."""

from __future__ import annotations

import queue
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace

from scmmlab.config import SweepSpec
from scmmlab.execution.events import Event
from scmmlab.execution.sweep.optuna_study import OptunaBook
from scmmlab.execution.sweep.order import SweepOrder
from scmmlab.execution.sweep.rungs import Rungs
from scmmlab.execution.sweep.setting import Setting, longest, make_setting
from scmmlab.study import Plan
from scmmlab.tracking import TuneTrialRecord

Heard = Callable[[Event], None]
Checkpoints = Callable[[str], dict[tuple[str, str], bytes]]


class Search(ABC):
    """Tries the settings of a sweep that have not ended yet.

    Parameters
    ----------
    plan : Plan
        The sweep.
    ended : mapping of int to TuneTrialRecord
        What earlier runs have finished, by number.
    book : OptunaBook
        Samples.
    checkpoints : callable
        Key of a training → its checkpoints of an earlier run.
    """

    def __init__(self, plan: Plan, ended: Mapping[int, TuneTrialRecord], book: OptunaBook, checkpoints: Checkpoints):
        study = plan.study
        assert isinstance(study, SweepSpec)
        self._plan, self._book, self._checkpoints = plan, book, checkpoints
        self._concurrency = study.concurrency
        self._ended = ended
        self._settings: dict[str, Setting] = {}
        """What is being tried, by a name that is the search's own affair."""
        self._ready: deque[Setting] = deque()
        """What is sampled, and not being tried yet."""
        self._records: queue.SimpleQueue[TuneTrialRecord] = queue.SimpleQueue()
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
        """Settings that are being tried."""
        return len(self._settings)

    @abstractmethod
    def step(self, heard: Heard, timeout_s: float) -> list[TuneTrialRecord]:
        """Let the search go on; records of what has ended since, and to `heard` the engine's events."""

    @abstractmethod
    def stop(self) -> None:
        """Abandon what is being tried."""

    def _probed(self, setting: Setting, epoch: int, value: float) -> bool:
        """A setting has reported; whether it goes on."""
        setting.add_probe(epoch, value)
        self._order.advance()
        return not setting.concluded

    def _over(self, setting: Setting) -> None:
        """The training of a setting has ended."""
        setting.over = True
        self._order.advance()

    def _take_records(self) -> list[TuneTrialRecord]:
        """Records that have been made since."""
        records = [self._records.get() for _ in range(self._records.qsize())]
        self._left -= len(records)
        return records

    # --- in the sweep's order

    def _sample(self, number: int) -> Setting:
        known = self._ended.get(number)
        self._unsampled -= known is None
        setting = make_setting(self._plan, number, self._book.ask(number, known.params if known else None))
        if known is not None:
            setting.replay(known)
        elif setting.task is not None:
            (key,) = setting.task.keys
            setting.task = replace(setting.task, checkpoints=self._checkpoints(key))
            self._ready.append(setting)
        return setting

    def _judge(self, setting: Setting, epoch: int, value: float) -> None:
        self._book.report(setting.number, epoch, value)

    def _conclude(self, setting: Setting) -> None:
        setting.concluded = True
        record = setting.record()
        self._book.tell(record)
        if setting.known is None:
            self._records.put(record)
