"""Sequences of consecutive windows of one trial, as rows of a pool; they never cross trials.

Legend: R replica, B window of a batch, T time step, n rows of the pool.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from scmmlab.methods.contract import FoldData
from scmmlab.replica.windows import WindowPool


def first_rows(data: Sequence[FoldData], pool: WindowPool) -> Tensor:
    """Row of the pool → the row where its trial begins, int64 [n] on the device; without trials, a row by itself."""
    found = np.arange(len(pool.windows))
    for own in data:
        for features, trial in ((own.seen_features, own.seen_trial), (own.test_features, own.test_trial)):
            start = pool.first_row(features)
            found[start : start + len(features)] = start + _beginnings(trial)
    return torch.from_numpy(found).to(pool.windows.device)


def _beginnings(trial: NDArray[np.int64]) -> NDArray[np.int64]:
    """Row → the first row of its trial, whose rows stand next to each other."""
    begins = np.ones(len(trial), dtype=bool)
    begins[1:] = trial[1:] != trial[:-1]
    first: NDArray[np.int64] = np.flatnonzero(begins)[np.cumsum(begins) - 1]
    return first


def sequence_rows(rows_RB: Tensor, first_n: Tensor, steps: int) -> Tensor:
    """The rows [R, B, T] of the sequences that end with `rows_RB`.

    Where a trial has fewer windows before, its first one is repeated: a window is told from what came before it alone,
    and each window of a trial is told.
    """
    back_T = torch.arange(steps - 1, -1, -1, device=rows_RB.device)
    return torch.maximum(rows_RB.unsqueeze(-1) - back_T, first_n[rows_RB].unsqueeze(-1))
