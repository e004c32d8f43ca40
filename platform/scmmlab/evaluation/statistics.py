"""What a difference between variants allows one to say: pure functions over one value a subject.

Subjects are the units: windows and seeds of a subject are not independent of one another, so seeds are averaged within
a subject first, and every test and interval is over subjects.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

import numpy as np
import scipy
from numpy.typing import NDArray

Values = NDArray[np.float64]
Name = TypeVar("Name", bound=Hashable)


class Verdict(StrEnum):
    """What a comparison allows one to say. `inconclusive` is a verdict: neither better nor worse was shown."""

    BETTER = "better"
    WORSE = "worse"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True)
class PairedComparison:
    """A variant against the reference, over the subjects that both have."""

    subjects: int
    """Subjects n."""
    difference: float
    """Mean over subjects of variant − reference; NaN without subjects."""
    low: float
    """Lower end of the bootstrap interval of the mean difference."""
    high: float
    """Upper end."""
    effect: float
    """Matched-pairs rank-biserial correlation, in [-1, 1], positive where the variant is better."""
    p: float
    """Two-sided Wilcoxon signed-rank p."""
    p_holm: float
    """The same after Holm's correction over the comparisons made together."""
    verdict: Verdict
    """What it allows one to say."""


def seeds_averaged(values: Mapping[int, Sequence[float]]) -> dict[int, float]:
    """Each subject's mean over its seeds, by subject in numeric order; NaN values are left out.

    Parameters
    ----------
    values : mapping of int to sequence of float
        Figures of a subject, one a seed. A subject without any is left out.
    """
    known = {subject: [value for value in values[subject] if not math.isnan(value)] for subject in sorted(values)}
    return {subject: float(np.mean(own)) for subject, own in known.items() if own}


def mean_and_sd(values: Sequence[float] | Values) -> tuple[float, float]:
    """Mean and sample standard deviation (n − 1); NaN where there are too few values."""
    array = np.asarray(values, dtype=np.float64)
    mean = float(array.mean()) if array.size else math.nan
    return mean, float(array.std(ddof=1)) if array.size > 1 else math.nan


def wilcoxon_p(difference: Values) -> float:
    """Two-sided p of the Wilcoxon signed-rank test (Wilcoxon 1945, doi:10.2307/3001968).

    Differences of 0 are dropped. Exact up to 50 differences without ties and up to 13 with ties, else by the normal
    approximation. Without a difference that is not 0 the p is 1.

    Parameters
    ----------
    difference : array, shape=(subjects,)
        Paired differences.
    """
    moved = difference[difference != 0]
    if moved.size == 0:
        return 1.0
    ties = np.unique(np.abs(moved)).size < moved.size
    if ties and moved.size <= 13:
        # all 2^n signs: n_resamples = inf makes scipy enumerate them
        method = scipy.stats.PermutationMethod(n_resamples=np.inf)
        return min(float(scipy.stats.wilcoxon(moved, method=method).pvalue), 1.0)
    exact = not ties and moved.size <= 50
    return min(float(scipy.stats.wilcoxon(moved, method="exact" if exact else "asymptotic").pvalue), 1.0)


def smallest_p(subjects: int, comparisons: int = 1) -> float:
    """The least p, after Holm's correction, that so many subjects can give: all differ in one direction.

    Of 2^n equally likely signs, two are the most extreme; Holm multiplies the least p by the number of comparisons.
    """
    return min(1.0, comparisons * 2.0 ** (1 - subjects)) if subjects else 1.0


def holm(p: Sequence[float]) -> list[float]:
    """p-values after Holm's step-down correction (Holm 1979, Scand. J. Stat. 6:65); NaN stays and is not counted."""
    values = np.asarray(p, dtype=np.float64)
    adjusted = np.full(values.size, math.nan)
    known = np.flatnonzero(~np.isnan(values))
    order = known[np.argsort(values[known], kind="stable")]
    # p̃_(i) = max_{j ≤ i} min(1, (m − j + 1) p_(j))
    factors = np.arange(order.size, 0, -1)
    adjusted[order] = np.maximum.accumulate(np.minimum(1.0, factors * values[order]))
    return [float(value) for value in adjusted]


def rank_biserial(difference: Values) -> float:
    """Matched-pairs rank-biserial correlation (Kerby 2014, doi:10.2466/11.IT.3.1), in [-1, 1].

    1: every subject gains; −1: every subject loses; 0 also where nothing differs.
    """
    moved = difference[difference != 0]
    if moved.size == 0:
        return 0.0
    # r = (W⁺ − W⁻) / (W⁺ + W⁻), W± the sums of the ranks of |d| with sign ±
    ranks = scipy.stats.rankdata(np.abs(moved))
    return float((ranks * np.sign(moved)).sum() / ranks.sum())


def bootstrap_interval(difference: Values, alpha: float, samples: int, rng: np.random.Generator) -> tuple[float, float]:
    """Bias-corrected and accelerated bootstrap interval of the mean (Efron 1987, doi:10.1080/01621459.1987.10478410).

    Subjects are resampled with replacement; the pairs stay together because their differences are resampled.

    Parameters
    ----------
    difference : array, shape=(subjects,)
        Paired differences.
    alpha : float
        1 − level of the interval.
    samples : int
        Resamples.
    rng : numpy.random.Generator
        Source of chance.

    Returns
    -------
    low, high : float
        NaN with fewer than two subjects; the mean itself, twice, where all differences are equal but for rounding.
    """
    if difference.size < 2:
        return math.nan, math.nan
    # equal but for rounding: the acceleration is 0/0 there, for which scipy returns NaN
    if np.ptp(difference) <= 1e-12 * np.abs(difference).max():
        return (mean := float(difference.mean())), mean
    low, high = scipy.stats.bootstrap(
        (difference,), np.mean, n_resamples=samples, confidence_level=1 - alpha, method="BCa", vectorized=True, rng=rng
    ).confidence_interval
    return float(low), float(high)


def verdict_of(difference: float, low: float, high: float, effect: float, p_holm: float, alpha: float) -> Verdict:
    """`better` or `worse` where the corrected test, the interval and the effect all say so; else `inconclusive`."""
    if p_holm < alpha:
        if low > 0 and difference > 0 and effect > 0:
            return Verdict.BETTER
        if high < 0 and difference < 0 and effect < 0:
            return Verdict.WORSE
    return Verdict.INCONCLUSIVE


def compare_with_reference(
    pairs: Mapping[Name, tuple[Mapping[int, float], Mapping[int, float]]],
    alpha: float,
    samples: int,
    rngs: Mapping[Name, np.random.Generator],
) -> dict[Name, PairedComparison]:
    """All comparisons of a study, corrected together.

    Parameters
    ----------
    pairs : mapping of name to (reference, variant)
        The family of comparisons, one value a subject on each side.
    alpha : float
        Level of the tests after correction, and 1 − level of the intervals.
    samples : int
        Resamples of an interval.
    rngs : mapping of name to numpy.random.Generator
        A source of chance for each comparison, so that none depends on which others there are.

    Returns
    -------
    dict of name to PairedComparison
        In the order of `pairs`. Without a shared subject its figures are NaN, and it is not counted in the correction.
    """
    differences = {name: paired_difference(*pair) for name, pair in pairs.items()}
    p = {name: wilcoxon_p(d) if d.size else math.nan for name, d in differences.items()}
    corrected = dict(zip(p, holm(list(p.values())), strict=True))
    made = {}
    for name, d in differences.items():
        mean = mean_and_sd(d)[0]
        low, high = bootstrap_interval(d, alpha, samples, rngs[name])
        effect = rank_biserial(d) if d.size else math.nan
        says = verdict_of(mean, low, high, effect, corrected[name], alpha)
        made[name] = PairedComparison(d.size, mean, low, high, effect, p[name], corrected[name], says)
    return made


def paired_difference(reference: Mapping[int, float], variant: Mapping[int, float]) -> Values:
    """Variant − reference of the subjects that both have, in numeric order."""
    shared = sorted(set(reference) & set(variant))
    return np.array([variant[subject] - reference[subject] for subject in shared], dtype=np.float64)
