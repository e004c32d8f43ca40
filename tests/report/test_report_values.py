"""One value a subject: seeds are averaged within a subject first, and like is paired with like."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from report.example_results import ablation, ablation_results, experiment
from scmmlab.config import HonestProtocol, LosoProtocol, ReleasedProtocol
from scmmlab.evaluation import mean_and_sd
from scmmlab.report import CellResult, StudyResults
from scmmlab.report.comparisons import compare, judged_alike
from scmmlab.report.leaks import LeakPair, leak_pairs, transductive_pairs
from scmmlab.report.measures import chance_level, number
from scmmlab.report.values import mean_curve, paired_subject_means, subject_means


def cell(seed: int, values: dict[int, float | None], **record: Any) -> CellResult:
    study = ablation()
    fold = {"by_subject": {str(subject): {"balanced_accuracy": value} for subject, value in values.items()}}
    whole = {"folds": [fold], **record}
    return CellResult("full", "eegmat", seed, f"key {seed}", experiment(study, "full"), "finished", whole)


def test_seeds_are_averaged_within_a_subject_first() -> None:
    # subject 2 was tested with one seed only: were all values averaged at once, the mean would be 0.45
    cells = [cell(0, {1: 0.2, 2: 0.9}), cell(1, {1: 0.3}), cell(2, {1: 0.4})]
    values = subject_means(cells, "balanced_accuracy")
    assert values == pytest.approx({1: 0.3, 2: 0.9})
    mean, sd = mean_and_sd(list(values.values()))
    assert mean == pytest.approx(0.6)
    # the spread is that of subjects, not of subjects and seeds together
    assert sd == pytest.approx(np.std([0.3, 0.9], ddof=1))


def test_a_figure_that_is_not_defined_for_a_subject_is_left_out() -> None:
    assert subject_means([cell(0, {1: None, 2: 0.5})], "balanced_accuracy") == {2: 0.5}


def test_only_seeds_that_both_sides_have_are_compared() -> None:
    reference = [cell(0, {1: 0.5}), cell(1, {1: 0.9})]
    variant = [cell(0, {1: 0.6})]
    assert paired_subject_means(reference, variant, "balanced_accuracy") == ({1: 0.5}, {1: 0.6})


def test_a_curve_is_the_mean_over_seeds_at_the_epochs_that_all_have() -> None:
    def curve(*losses: float | None) -> dict[str, Any]:
        return {"pretrain": [{"epoch": epoch, "loss": loss} for epoch, loss in enumerate(losses, start=1)]}

    epochs, values = mean_curve(
        [cell(0, {}, curves=curve(3, 2, 1)), cell(1, {}, curves=curve(5, 4))], "pretrain", "loss"
    )
    np.testing.assert_array_equal(epochs, [1, 2])
    np.testing.assert_array_equal(values, [4, 3])
    assert mean_curve([cell(0, {}, curves=curve(None))], "pretrain", "loss")[0].size == 0
    assert mean_curve([], "pretrain", "loss")[0].size == 0


def test_variants_of_another_protocol_are_not_compared_with_the_reference() -> None:
    comparisons = compare(ablation_results(holes=False))
    assert "released" in comparisons.other_protocol
    assert {variant for variant, _ in comparisons.made} == {
        "hard_weights",
        "no_contrast",
        "no_aggregator",
        "no_reconstruction",
        "no_masking",
        "no_pretraining",
    }


def test_a_protocol_that_tests_the_same_is_comparable_though_it_chooses_otherwise() -> None:
    assert judged_alike(HonestProtocol(), HonestProtocol(epoch_selection="best_validation", validation_share=0.5))
    assert not judged_alike(HonestProtocol(), HonestProtocol(finetune_share=0.5))
    assert not judged_alike(HonestProtocol(), LosoProtocol())
    assert not judged_alike(HonestProtocol(), ReleasedProtocol())


def with_variants(**variants: dict[str, Any]) -> StudyResults:
    study = ablation(transfers=("eegmat",)).model_dump(mode="json")
    study["variants"] = {name: {"set": changes} for name, changes in variants.items()}
    study = type(ablation()).model_validate(study)
    cells = tuple(CellResult(name, "eegmat", 0, name, experiment(study, name), "missing") for name in study.variants)
    return StudyResults(study, cells)


def test_a_released_variant_is_matched_with_the_variant_that_differs_in_the_protocol_alone() -> None:
    released = {"kind": "released", "split": "leave_subjects_out", "subjects_per_fold": 3}
    results = with_variants(
        full={},
        no_masking={"masking.mode": "none"},
        released={"protocol": released},
        released_last={"protocol": {**released, "epoch_selection": "last"}},
        no_masking_released={"masking.mode": "none", "protocol": released},
        alone={"masking.ratio": 0.7, "protocol": released},
    )
    assert leak_pairs(results) == [
        LeakPair("released", "full", same_split=True),
        LeakPair("released_last", "full", same_split=True),
        LeakPair("no_masking_released", "no_masking", same_split=True),
    ]


def test_a_counterpart_with_the_same_split_is_preferred() -> None:
    results = with_variants(
        full={},
        within={"protocol": {"kind": "honest", "trial_order": "time_within_class"}},
        released={"protocol": {"kind": "released", "trial_order": "time_within_class"}},
        released_time={"protocol": {"kind": "released"}},
    )
    assert leak_pairs(results) == [
        LeakPair("released", "within", same_split=True),
        LeakPair("released_time", "full", same_split=False),
        LeakPair("released_time", "within", same_split=False),
    ]


def test_what_is_trained_on_the_source_is_no_counterpart_of_a_released_variant() -> None:
    results = with_variants(
        full={},
        released={"protocol": {"kind": "released"}},
        inductive={"protocol": {"kind": "uda_inductive"}},
        zero_shot={"protocol": {"kind": "zero_shot"}},
        honest={"protocol": {"kind": "honest"}},
    )
    assert leak_pairs(results) == [LeakPair("released", "honest", same_split=True)]


def test_a_transductive_variant_is_matched_with_the_inductive_one_that_is_otherwise_equal() -> None:
    seen, before = {"kind": "uda_transductive"}, {"kind": "uda_inductive"}
    coral = {"method": "linear", "alignment.kind": "coral"}
    results = with_variants(
        full={},
        coral_seen={**coral, "protocol": seen},
        coral_seen_of_other_trials={**coral, "protocol": {**seen, "tested": "all_trials"}},
        coral={**coral, "protocol": before},
        other_rho={**coral, "alignment.rho": 0.5, "protocol": before},
        ridge_seen={**coral, "method": "ridge", "protocol": seen},
        ridge_elsewhere={**coral, "method": "ridge", "protocol": {**before, "finetune_share": 0.5}},
        ridge_honest={"method": "ridge", "protocol": {"kind": "honest"}},
    )
    assert transductive_pairs(results) == [LeakPair("coral_seen", "coral", same_split=True)]


@pytest.mark.parametrize(
    ("metric", "level"),
    [("accuracy", 0.75), ("balanced_accuracy", 0.5), ("macro_auroc", 0.5), ("cohen_kappa", 0.0), ("macro_f1", 7 / 15)],
)
def test_chance_levels(metric: str, level: float) -> None:
    assert chance_level(metric, np.array([30, 10])) == pytest.approx(level)


def test_numbers_have_a_true_minus_and_no_sign_on_nothing() -> None:
    assert number(-1.25, 1, sign=True) == "−1.2"
    assert number(-0.01, 1, sign=True) == "0.0"
    assert number(float("nan"), 1) == "–"


def test_a_comparison_does_not_change_when_another_variant_is_missing() -> None:
    whole = ablation_results(holes=False)
    part = dataclasses.replace(whole, cells=tuple(c for c in whole.cells if c.variant != "no_masking"))
    one, other = (compare(results).made["no_contrast", "eegmat"] for results in (whole, part))
    assert (one.low, one.high, one.p) == (other.low, other.high, other.p)
