"""A sweep's report: what is judged with what, and what a parameter explains beyond noise."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from report.example_results import conditional_sweep_results, sweep_results
from scmmlab.report import completeness
from scmmlab.report.analyses import (
    BestSetting,
    SearchImportance,
    SearchPareto,
    SearchSlices,
    WhatWasRun,
    analyses_of,
)
from scmmlab.report.analysis import NotReady, compute_cards
from scmmlab.report.card import Figure, ReportTable
from scmmlab.report.drawing import figure_style
from scmmlab.report.importance import bins, importance, variance_share
from scmmlab.report.sweeps import best_trial, judged, pareto_optimal, spent
from scmmlab.study import TuneTrialRecord


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
    lucky = TuneTrialRecord(99, "t99", results.sweep[0].params, ((5, 0.99),), None, "pruned")
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


def tables_of(analysis, results) -> dict[str, ReportTable]:
    with figure_style():
        card = analysis.compute(results)
    return {block.name: block for block in card.blocks if isinstance(block, ReportTable)}


def texts(table: ReportTable) -> list[list[str]]:
    return [[cell.text for cell in row.cells] for row in table.rows]


def test_every_section_of_a_conditional_sweep_with_two_objectives_is_made() -> None:
    results = conditional_sweep_results()
    with figure_style():
        cards = compute_cards(analyses_of(results), results)
    assert "pareto" in [card.slug for card in cards]
    assert {card.slug: card.state for card in cards if card.state != "ready"} == {"missing": "not_ready"}


def test_a_sweep_with_one_objective_has_no_pareto_front() -> None:
    assert not any(isinstance(analysis, SearchPareto) for analysis in analyses_of(sweep_results()))


def test_importance_is_over_the_settings_in_which_a_parameter_is_searched() -> None:
    results = conditional_sweep_results()
    table = tables_of(SearchImportance(), results)["importance"]
    rows = {row[0].strip("`"): row[1:] for row in texts(table)}
    having = {path: sum(path in trial.params for trial in results.sweep) for path in results.search.space}
    assert {path: int(row[-1]) for path, row in rows.items()} == having
    assert 8 <= having["masking.threshold"] < len(results.sweep)
    assert rows["aggregator.top_k"] == ["–", "–", "–", "0"]
    assert table.notes == ("–: searched in fewer than 8 of the settings.",)


def test_what_is_not_searched_has_a_dash_in_the_tables_of_settings() -> None:
    results = conditional_sweep_results()
    tables = tables_of(BestSetting(), results)
    best = {row[0].strip("`"): row for row in texts(tables["best"])}
    assert best["aggregator.top_k"][1:] == ["–", "none", "one of 4, none, where `aggregator.enabled` is true"]
    paths = list(results.search.space)
    by_number = {trial.number: trial for trial in results.sweep}
    dashes = 0
    for number, _, *values in texts(tables["ranking"]):
        missing = {path for path, value in zip(paths, values, strict=True) if value == "–"}
        assert missing == set(paths) - set(by_number[int(number)].params)
        dashes += "masking.threshold" in missing
    assert dashes
    assert "the base's value stands" in tables["ranking"].notes[0]


def test_slices_show_the_settings_that_have_the_parameter() -> None:
    results = conditional_sweep_results()
    with figure_style():
        (figure,) = [block for block in SearchSlices().compute(results).blocks if isinstance(block, Figure)]
    shown = {panel.get_title(loc="left"): len(panel.lines) for panel in figure.drawing.axes if panel.get_visible()}
    assert shown == {path: sum(path in trial.params for trial in results.sweep) for path in results.search.space}
    assert "`masking.threshold` where `masking.mode` is hybrid" in figure.caption


def test_pareto_optimal_settings_are_those_that_nothing_beats() -> None:
    results = conditional_sweep_results(60)
    complete = [trial for trial in results.sweep if trial.state == "complete"]

    def beats(one: TuneTrialRecord, other: TuneTrialRecord) -> bool:
        gains = (one.value or 0) - (other.value or 0), spent(other) - spent(one)
        return min(gains) >= 0 and max(gains) > 0

    expected = {one.number for one in complete if not any(beats(other, one) for other in complete)}
    front = pareto_optimal(results)
    assert {trial.number for trial in front} == expected
    assert 1 < len(front) < len(complete)
    assert [spent(trial) for trial in front] == sorted(spent(trial) for trial in front)
    table = tables_of(SearchPareto(), results)["pareto"]
    assert [row[:2] for row in texts(table)] == [[str(trial.number), str(spent(trial))] for trial in front]


def test_equal_settings_are_pareto_optimal_together() -> None:
    results = conditional_sweep_results(1)
    (one,) = results.sweep
    twin = dataclasses.replace(one, number=1)
    worse = dataclasses.replace(one, number=2, value=(one.value or 0) - 0.1)
    found = pareto_optimal(dataclasses.replace(results, sweep=(one, worse, twin)))
    assert [trial.number for trial in found] == [0, 1]


def test_the_best_setting_of_two_objectives_is_the_best_probe() -> None:
    results = conditional_sweep_results()
    best = best_trial(results)
    assert best is not None
    assert best.value == max(trial.value for trial in results.sweep if trial.value is not None)
    assert best.number == pareto_optimal(results)[-1].number


@pytest.mark.parametrize("synchronous", [True, False])
def test_report_says_where_a_sweep_is_not_repeatable(synchronous) -> None:
    results = sweep_results()
    search = results.search.model_copy(update={"synchronous": synchronous})
    (what,) = compute_cards([WhatWasRun()], dataclasses.replace(results, study=search))
    assert ("need not choose the same setting" in str(what)) is not synchronous
