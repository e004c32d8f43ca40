"""The order in which a sweep samples, stops and concludes its settings. Pure.

Synchronous: by epochs instead of by the clock. `concurrency` lanes are imagined to train side by side, an epoch of all
at a time: a setting that is sampled when another has left its lane at time s reaches its epoch e at time s + e. What
happens at the same time is taken in the order of numbers, and nothing is decided before everything that precedes it is
known. Where and how fast a setting trains, and in which order probes arrive, then makes no difference; nor does an
interruption, as finished settings are replayed in the same order.

No worker waits: a setting continues to train while its decision is open, and probes after the rung at which it turns
out to be stopped are dropped.

Asynchronous: every probe is decided on as it arrives.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from scmmlab.execution.sweep.rungs import RungDecision, Rungs
from scmmlab.execution.sweep.setting import SampledSetting


@dataclass
class _Lane:
    """A setting that is being tried."""

    setting: SampledSetting
    start: int
    """Time at which it was sampled, in epochs."""
    decisions: deque[int]
    """Epochs at which something is still to be decided; the last is its end."""

    @property
    def time(self) -> int:
        """When the next decision is made."""
        epoch = self.decisions[0]
        # without pre-training it does not take that many epochs
        return self.start + (epoch if self.setting.trains else 1)

    @property
    def known(self) -> bool:
        """Whether the next decision can be made."""
        return self.setting.over or (len(self.decisions) > 1 and self.setting.probe(self.decisions[0]) is not None)


class SweepOrder:
    """Makes each decision as soon as the order allows.

    Parameters
    ----------
    numbers : iterable of int
        Of all settings, from 0 on, including those of earlier runs.
    concurrency : int
        Settings that are tried at a time.
    synchronous : bool
        Whether the order must not depend on timing.
    rungs : Rungs
        Decide which settings are stopped.
    sample : callable
        Number → setting; called in the order of numbers.
    judge : callable
        Setting, epoch, probe: called for each probe that counts, before what follows from it.
    conclude : callable
        Called for each setting that has ended or is stopped.
    """

    def __init__(
        self,
        numbers: Iterable[int],
        concurrency: int,
        synchronous: bool,
        rungs: Rungs,
        sample: Callable[[int], SampledSetting],
        judge: Callable[[SampledSetting, int, float], None],
        conclude: Callable[[SampledSetting], None],
    ):
        self._numbers = deque(numbers)
        self._concurrency, self._synchronous, self._rungs = concurrency, synchronous, rungs
        self._sample, self._judge, self._conclude = sample, judge, conclude
        self._lanes: list[_Lane] = []
        self._now = 0

    def advance(self) -> None:
        """Decide everything that can be decided from the probes that there are."""
        while True:
            self._fill()
            lane = self._next()
            if lane is None:
                return
            self._now = lane.time
            if self._ends(lane):
                self._lanes.remove(lane)
                self._conclude(lane.setting)

    def _fill(self) -> None:
        while self._numbers and len(self._lanes) < self._concurrency:
            setting = self._sample(self._numbers.popleft())
            if setting.task is None:
                self._conclude(setting)
                continue
            # the end is a decision too, whether a rung takes it or not
            decisions = {*self._rungs.decisions(setting.reports), setting.reports[-1]}
            self._lanes.append(_Lane(setting, self._now, deque(sorted(decisions))))

    def _next(self) -> _Lane | None:
        if self._synchronous:
            first = min(self._lanes, key=lambda lane: (lane.time, lane.setting.number), default=None)
            return first if first is not None and first.known else None
        return next((lane for lane in self._lanes if lane.known), None)

    def _ends(self, lane: _Lane) -> bool:
        """Make the next decision of a setting; whether it ends by it."""
        setting, epoch = lane.setting, lane.decisions.popleft()
        for reported, value in setting.take_probes(epoch):
            self._judge(setting, reported, value)
            stops = self._rungs.report(setting.number, reported, value) is RungDecision.STOP
            if setting.known is None and stops and lane.decisions:
                setting.stop(reported)
                return True
        # a setting that fails later first gets the decisions that it has a probe for: one of them may stop it
        broke_off = setting.probe(epoch) is None
        if broke_off and setting.error is None:
            setting.error = f"it ended without a probe after epoch {epoch}"
        return not lane.decisions or broke_off or setting.was_stopped(epoch)
