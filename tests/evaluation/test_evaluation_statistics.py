"""Tests, corrections, effects and intervals are the textbook's, and do not claim what the data cannot show."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from scmmlab.evaluation import (
    Verdict,
    bootstrap_interval,
    compare_with_reference,
    holm,
    mean_and_sd,
    rank_biserial,
    seeds_averaged,
    smallest_p,
    wilcoxon_p,
)

differences = st.lists(st.integers(-20, 20), min_size=1, max_size=9).map(lambda values: np.array(values) / 10)


@settings(max_examples=40, deadline=None)
@given(difference=differences)
def test_wilcoxon_is_the_exact_permutation_test_for_few_subjects(difference: np.ndarray) -> None:
    moved = difference[difference != 0]
    if moved.size == 0:
        assert wilcoxon_p(difference) == 1
        return
    ranks = stats.rankdata(np.abs(moved))
    observed = abs((ranks * np.sign(moved)).sum())
    signs = np.array(list(itertools.product([-1, 1], repeat=moved.size)))
    exact = float(np.mean(np.abs(signs @ ranks) >= observed - 1e-9))
    assert wilcoxon_p(difference) == pytest.approx(exact)


def test_wilcoxon_of_many_subjects_is_scipys() -> None:
    difference = np.random.default_rng(0).normal(0.1, 1, 80)
    assert wilcoxon_p(difference) == pytest.approx(stats.wilcoxon(difference, method="asymptotic").pvalue)


@pytest.mark.parametrize("subjects", [3, 6, 12])
def test_no_p_is_below_what_so_many_subjects_can_give(subjects: int) -> None:
    assert wilcoxon_p(np.arange(1, subjects + 1) / 10) == pytest.approx(smallest_p(subjects))


def test_holm_is_the_textbooks() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


@settings(max_examples=50, deadline=None)
@given(p=st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_never_lowers_a_p_nor_changes_their_order(p: list[float]) -> None:
    adjusted = holm(p)
    assert all(after >= before for before, after in zip(p, adjusted, strict=True))
    assert [adjusted[i] for i in np.argsort(p, kind="stable")] == sorted(adjusted)


def test_holm_does_not_count_a_comparison_that_was_not_made() -> None:
    adjusted = holm([0.01, math.nan, 0.04])
    assert adjusted[0] == pytest.approx(0.02)
    assert math.isnan(adjusted[1])


def test_rank_biserial_is_signed_and_bounded() -> None:
    assert rank_biserial(np.array([0.1, 0.2, 0.3])) == 1
    assert rank_biserial(-np.array([0.1, 0.2, 0.3])) == -1
    assert rank_biserial(np.zeros(4)) == 0
    # ranks 1, 2, 3 with signs -, +, +: (5 - 1) / 6
    assert rank_biserial(np.array([-0.1, 0.2, 0.3])) == pytest.approx(4 / 6)


def textbook_bca(difference: np.ndarray, alpha: float, samples: int, rng: np.random.Generator) -> np.ndarray:
    """Efron 1987, with the draws of our releases so far: reports that are published keep their figures."""
    n, mean = difference.size, difference.mean()
    resampled = difference[rng.integers(0, n, size=(samples, n))].mean(axis=1)
    z0 = stats.norm.ppf((np.mean(resampled < mean) + np.mean(resampled <= mean)) / 2)
    u = difference - mean
    acceleration = (u**3).sum() / (6 * (u**2).sum() ** 1.5)
    shifted = z0 + stats.norm.ppf([alpha / 2, 1 - alpha / 2])
    return np.quantile(resampled, stats.norm.cdf(z0 + shifted / (1 - acceleration * shifted)))


@settings(max_examples=40, deadline=None)
@given(difference=differences, seed=st.integers(0, 100), alpha=st.sampled_from([0.01, 0.05, 0.1]))
def test_bootstrap_interval_is_the_textbooks_bca(difference: np.ndarray, seed: int, alpha: float) -> None:
    if np.ptp(difference) == 0:
        return
    ours = bootstrap_interval(difference, alpha, 500, np.random.default_rng(seed))
    assert ours == pytest.approx(textbook_bca(difference, alpha, 500, np.random.default_rng(seed)), abs=1e-9)


def test_bootstrap_interval_covers_the_mean_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(4)
    covered = 0
    for _ in range(300):
        low, high = bootstrap_interval(rng.normal(0.3, 1, 20), 0.05, 400, rng)
        covered += low <= 0.3 <= high
    assert 0.88 <= covered / 300 <= 0.98


def test_bootstrap_interval_of_equal_differences_is_the_difference() -> None:
    assert bootstrap_interval(np.full(5, 0.25), 0.05, 100, np.random.default_rng(0)) == (0.25, 0.25)
    # 0.1 + 0.2 and 0.3, which differ in the last digit
    equal = np.array([0.9, 0.8, 0.5]) - np.array([0.6, 0.5, 0.2])
    assert np.ptp(equal) > 0
    assert bootstrap_interval(equal, 0.05, 100, np.random.default_rng(0)) == pytest.approx((0.3, 0.3))
    assert all(math.isnan(end) for end in bootstrap_interval(np.array([0.2]), 0.05, 100, np.random.default_rng(0)))


def test_seeds_are_averaged_within_a_subject_before_subjects() -> None:
    # subject 1 has three seeds, subject 2 one: each subject counts once
    values = seeds_averaged({2: [0.9], 1: [0.1, 0.2, 0.3], 3: [math.nan]})
    assert list(values) == [1, 2]
    mean, sd = mean_and_sd(list(values.values()))
    assert mean == pytest.approx(0.55)
    assert sd == pytest.approx(np.std([0.2, 0.9], ddof=1))


def compared(gains: dict[str, np.ndarray]) -> dict[str, Verdict]:
    pairs = {
        name: (dict.fromkeys(range(gain.size), 0.5), {subject: 0.5 + value for subject, value in enumerate(gain)})
        for name, gain in gains.items()
    }
    rngs = {name: np.random.default_rng(0) for name in gains}
    made = compare_with_reference(pairs, 0.05, 2000, rngs)
    return {name: comparison.verdict for name, comparison in made.items()}


def test_verdicts_need_test_interval_and_effect_to_agree() -> None:
    rng = np.random.default_rng(5)
    gain = rng.uniform(0.05, 0.1, 18)
    # many small losses and one enormous gain: ranks say worse, the mean says better
    torn = np.append(np.full(17, -0.01) - np.arange(17) / 1e4, 0.9)
    noise = gain * (-1) ** np.arange(18)
    assert compared({"up": gain, "down": -gain, "noise": noise, "torn": torn}) == {
        "up": Verdict.BETTER,
        "down": Verdict.WORSE,
        "noise": Verdict.INCONCLUSIVE,
        "torn": Verdict.INCONCLUSIVE,
    }


def test_five_subjects_cannot_show_anything() -> None:
    assert smallest_p(5) > 0.05
    assert compared({"up": np.array([0.1, 0.2, 0.3, 0.25, 0.15])}) == {"up": Verdict.INCONCLUSIVE}


def test_subjects_without_a_partner_are_left_out() -> None:
    pairs = {"a": ({1: 0.5, 2: 0.6}, {2: 0.7, 3: 0.9}), "b": ({1: 0.5}, {2: 0.6})}
    made = compare_with_reference(pairs, 0.05, 100, {name: np.random.default_rng(0) for name in pairs})
    assert made["a"].subjects == 1
    assert made["a"].difference == pytest.approx(0.1)
    assert math.isnan(made["b"].difference)
    assert made["b"].verdict is Verdict.INCONCLUSIVE


def test_a_comparison_does_not_depend_on_which_others_there_are() -> None:
    rng = np.random.default_rng(6)
    reference = dict(enumerate(rng.uniform(0.4, 0.8, 10)))
    variants = {name: dict(enumerate(rng.uniform(0.4, 0.8, 10))) for name in "abc"}

    def intervals(names: str) -> dict[str, tuple[float, float]]:
        rngs = {name: np.random.default_rng(ord(name)) for name in names}
        made = compare_with_reference({name: (reference, variants[name]) for name in names}, 0.05, 500, rngs)
        return {name: (comparison.low, comparison.high) for name, comparison in made.items()}

    assert intervals("abc")["b"] == intervals("b")["b"]
