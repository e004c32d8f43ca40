"""The step size of each epoch."""

from __future__ import annotations

import math

from scmmlab.config import OptimizerSpec


def learning_rate(optimizer: OptimizerSpec, epoch: int, epochs: int, constant: bool = False) -> float:
    """The step size of `epoch` (from 0) of `epochs`.

    Parameters
    ----------
    optimizer : OptimizerSpec
        Step size at the start, and the schedule.
    epoch, epochs : int
        The epoch, and how many there are to be.
    constant : bool
        Whether the schedule is left aside, as the released code does in fine-tuning.
    """
    if constant or optimizer.schedule == "constant":
        return optimizer.learning_rate
    # η_e = η₀ (1 + cos(π e / E)) / 2
    return optimizer.learning_rate * (1 + math.cos(math.pi * epoch / epochs)) / 2
