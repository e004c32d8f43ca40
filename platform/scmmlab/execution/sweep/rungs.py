"""Successive halving by rungs (ASHA, arXiv 1810.05934): which settings continue at a rung. Pure; all engines use it."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum

import numpy as np

from scmmlab.config import AshaSpec


class RungDecision(Enum):
    """What happens to a setting that has reported."""

    GO_ON = "go on"
    STOP = "stop"


class Rungs:
    """The values that settings had at each rung.

    Rungs are at r·η^k epochs up to the last epoch, with r the grace and η the reduction factor. At the first report at
    or after a rung, a setting stops when its value is below the 1 − 1/η quantile of those that were there before it.

    Parameters
    ----------
    asha : AshaSpec | None
        Grace and reduction factor; None: no setting is stopped.
    epochs : int
        Of a setting that is trained to the end.
    """

    def __init__(self, asha: AshaSpec | None, epochs: int):
        self._quantile = 0.0
        self._epochs = epochs
        self._rungs: dict[int, dict[int, float]] = {}
        if asha is None:
            return
        self._quantile = 1 - 1 / asha.reduction_factor
        epoch = asha.grace_epochs
        while epoch <= epochs:
            self._rungs[epoch] = {}
            epoch *= asha.reduction_factor

    def report(self, number: int, epoch: int, value: float) -> RungDecision:
        """Setting `number` has `value`, the greater the better, after `epoch` epochs."""
        for rung in reversed(self._rungs):
            values = self._rungs[rung]
            if epoch < rung or number in values:
                continue
            below = bool(values) and value < float(np.quantile(list(values.values()), self._quantile))
            values[number] = value
            return RungDecision.STOP if below else RungDecision.GO_ON
        return RungDecision.GO_ON

    def decisions(self, reports: Iterable[int]) -> list[int]:
        """The epochs of a setting's reports that count at a rung: the others decide nothing."""
        open_rungs = list(self._rungs)
        taken = []
        for epoch in reports:
            rung = next((rung for rung in reversed(open_rungs) if epoch >= rung), None)
            if rung is not None:
                open_rungs.remove(rung)
                taken.append(epoch)
        return taken

    def expected_end(self, share: float) -> float:
        """The share of its epochs that a setting is expected to reach, given the share that it has reached.

        Of those that reach a rung, one in η continues.
        """
        at = expected = share * self._epochs
        going_on = 1.0
        for rung in [*(rung for rung in self._rungs if at < rung < self._epochs), self._epochs]:
            expected += going_on * (rung - at)
            at, going_on = rung, going_on * (1 - self._quantile)
        return expected / self._epochs
