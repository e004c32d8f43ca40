"""How much of a sweep's objective each parameter explains by itself: pure functions over arrays."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import NDArray

MOST_BINS = 4
LEAST_IN_A_BIN = 3


@dataclass(frozen=True)
class Importance:
    """What one parameter explains.

    Parameters
    ----------
    share : float
        Share of the variance of the objective between the parameter's bins (ε², bias-corrected, at least 0).
    noise : float
        The share that 95 % of random permutations of the objective stay below.
    trend : float
        Spearman's rank correlation with the objective; NaN for a parameter without order.
    """

    share: float
    noise: float
    trend: float


def importance(
    values: Sequence[object],
    objective: NDArray[np.float64],
    ordered: bool,
    rng: np.random.Generator,
    permutations: int = 500,
) -> Importance:
    """The main effect of one parameter on the objective.

    Parameters
    ----------
    values : sequence of object
        The parameter in each setting; numbers if `ordered`.
    objective : array, shape=(settings,)
        The objective of each setting.
    ordered : bool
        Whether the parameter is a number; else each of its values is a bin.
    rng : numpy.random.Generator
        Source of chance for the permutations.
    permutations : int
        How many.
    """
    groups = bins(values, ordered)
    shuffled = [variance_share(groups, rng.permutation(objective)) for _ in range(permutations)]
    trend = math.nan
    if ordered and np.unique(np.asarray(values, dtype=float)).size > 1 and np.ptp(objective) > 0:
        trend = float(scipy.stats.spearmanr(np.asarray(values, dtype=float), objective).statistic)
    return Importance(variance_share(groups, objective), float(np.quantile(shuffled, 0.95)), trend)


def bins(values: Sequence[object], ordered: bool) -> NDArray[np.int64]:
    """The bin of each value: up to four of about equal numbers of settings, or one for each value without order."""
    if not ordered:
        _, group = np.unique([repr(value) for value in values], return_inverse=True)
        return group.reshape(-1).astype(np.int64)
    numbers = np.asarray(values, dtype=float)
    count = max(min(MOST_BINS, numbers.size // LEAST_IN_A_BIN), 1)
    # equal values share a rank, and so a bin
    share = (scipy.stats.rankdata(numbers) - 0.5) / numbers.size
    return np.minimum((share * count).astype(np.int64), count - 1)


def variance_share(groups: NDArray[np.int64], objective: NDArray[np.float64]) -> float:
    """Share of the variance that lies between groups (ε², Kelley 1935, doi:10.1073/pnas.21.9.554), at least 0."""
    # ε² = (SS_between − df_between · MS_within) / SS_total: without the correction, many small bins would explain
    # noise, and a parameter with more values would seem to matter more
    n, count = objective.size, np.unique(groups).size
    total = ((objective - objective.mean()) ** 2).sum()
    if total == 0 or count < 2 or n <= count:
        return 0.0
    means = np.array([objective[groups == group].mean() for group in np.unique(groups)])
    sizes = np.array([np.count_nonzero(groups == group) for group in np.unique(groups)])
    between = (sizes * (means - objective.mean()) ** 2).sum()
    within = (total - between) / (n - count)
    return float(max((between - (count - 1) * within) / total, 0.0))
