"""A sweep's report: what is judged with what, and what a parameter explains beyond noise."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from report.example_results import sweep_results
from scmmlab.report import TuneTrial, completeness
from scmmlab.report.analyses import BestSetting, SearchImportance
from scmmlab.report.analysis import NotReady
from scmmlab.report.drawing import figure_style
from scmmlab.report.importance import bins, importance, variance_share
from scmmlab.report.sweeps import best_trial, judged


def test_settings_that_were_stopped_early_are_judged_at_an_epoch_that_all_reached() -> None:
    results = sweep_results()
    known = judged(results)
    assert known.epoch == 10
    assert {trial.state for trial in known.trials} == {"complete", "pruned"}
    assert all(dict(trial.intermediate)[10] == value for trial, value in zip(known.trials, known.values, strict=True))


def test_settings_that_were_all_tried_to_the_end_are_judged_there() -> None:
    results = sweep_results()
    complete = tuple(trial for trial in results.sweep if trial.state == "complete")
    known = judged(dataclasses.replace(results, sweep=complete))
    assert known.epoch is None
    assert known.values == tuple(trial.value for trial in complete)


def test_the_best_setting_is_a_complete_one() -> None:
    results = sweep_results()
    lucky = TuneTrial(99, results.sweep[0].params, None, ((5, 0.99),), "pruned")
    best = best_trial(dataclasses.replace(results, sweep=(*results.sweep, lucky)))
    assert best is not None
    assert best.state == "complete"
    assert best.value == max(trial.value for trial in results.sweep if trial.value is not None)


def test_a_sweep_with_settings_missing_is_incomplete() -> None:
    found = completeness(sweep_results(tried=30, asked=32))
    assert found.in_words() == "Incomplete: 2 of 32 settings missing, 1 of 32 settings failed."


def test_the_parameter_that_matters_is_told_from_those_that_do_not() -> None:
    rng = np.random.default_rng(0)
    values, other = rng.uniform(0, 1, 60), rng.uniform(0, 1, 60)
    objective = -((values - 0.5) ** 2) + rng.normal(0, 0.01, 60)
    matters = importance(values.tolist(), objective, True, np.random.default_rng(1))
    idle = importance(other.tolist(), objective, True, np.random.default_rng(1))
    assert matters.share > 0.5 > matters.noise
    # a hill has no trend, which is why importance is not a correlation
    assert abs(matters.trend) < 0.4
    assert idle.share < idle.noise


def test_importance_of_noise_is_about_zero_whatever_the_number_of_bins() -> None:
    rng = np.random.default_rng(2)
    for count in (2, 4, 8):
        shares = [variance_share(rng.integers(0, count, 40), rng.normal(size=40)) for _ in range(200)]
        assert np.mean(shares) < 0.05


@settings(max_examples=40, deadline=None)
@given(values=st.lists(st.integers(0, 5), min_size=1, max_size=30))
def test_equal_values_share_a_bin_and_bins_follow_the_order(values: list[int]) -> None:
    found = bins(values, ordered=True)
    pairs = sorted(zip(values, found.tolist(), strict=True))
    assert [bin_ for _, bin_ in pairs] == sorted(bin_ for _, bin_ in pairs)
    assert len(dict(pairs)) == len(set(pairs))
    assert found.max() <= 3


def test_importance_is_not_computed_from_a_handful() -> None:
    with pytest.raises(NotReady, match="at least 8 settings"):
        SearchImportance().compute(sweep_results(tried=5))


def test_the_best_setting_says_that_choosing_flatters_it() -> None:
    with figure_style():
        card = BestSetting().compute(sweep_results())
    assert "this figure flatters it" in str(card.blocks[0])
