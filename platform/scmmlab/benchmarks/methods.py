"""How fast methods without pre-training run here: steps of random windows, one fold alone and folds in packs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from scmmlab.config import ExperimentSpec
from scmmlab.methods.registry import all_methods
from scmmlab.replica.precision import multiplications
from scmmlab.training.packs import packs_pay
from scmmlab.training.rates import steps_of_finetuning

CHANNELS, BANDS, CLASSES = 62, 5, 3
"""Sizes of SEED."""
FOLDS = (1, 4, 15)
"""Folds that train together."""


def benchmark_methods(
    device: str = "cpu", threads: int = 1, folds: Sequence[int] = FOLDS, seconds: float = 1.0
) -> dict[str, Any]:
    """Measure each installed method that has no pre-train stage, at its default settings.

    Parameters
    ----------
    device : str
        Where to measure.
    threads : int
        Threads of a CPU; set for the time of the measurement.
    folds : sequence of int
        Sizes of the packs.
    seconds : float
        Time of each measurement, about.

    Returns
    -------
    dict
        Method → ``steps_per_s``: folds that train together → steps of one fold a second, summed over the folds;
        ``speedup`` of the largest pack. A method whose folds train one after the other has one fold alone.
    """
    rates: dict[str, Any] = {}
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        for method in all_methods():
            experiment = ExperimentSpec.model_validate({"method": method.name})
            if experiment.pretrains:
                continue
            sizes = folds if packs_pay(experiment, "finetune") else folds[:1]
            with multiplications():
                found = {
                    str(size): steps_of_finetuning(experiment, CHANNELS, BANDS, CLASSES, device, size).rate(seconds)
                    for size in sizes
                }
            first, *_, last = [*found.values(), *found.values()]
            rates[method.name] = {"steps_per_s": found, "speedup": last / first}
    finally:
        torch.set_num_threads(before)
    return rates
