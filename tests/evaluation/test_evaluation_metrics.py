"""The figures are those of scikit-learn, and defined where it is not."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference

from scmmlab.errors import TrainingError
from scmmlab.evaluation import METRICS, confusion, json_scores, scores


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), classes=st.integers(2, 4), n=st.integers(8, 60), ties=st.booleans())
def test_figures_are_those_of_scikit_learn(seed: int, classes: int, n: int, ties: bool) -> None:
    rng = np.random.default_rng(seed)
    label = np.concatenate([np.arange(classes), rng.integers(0, classes, n - classes)])
    probability = rng.dirichlet(np.ones(classes), n)
    if ties:
        probability = np.round(probability, 1)
    predicted = probability.argmax(axis=1)
    found = scores(label, probability)
    assert tuple(found) == METRICS
    areas = [reference.roc_auc_score(label == one, probability[:, one]) for one in range(classes)]
    expected = {
        "accuracy": reference.accuracy_score(label, predicted),
        "balanced_accuracy": reference.balanced_accuracy_score(label, predicted),
        "macro_f1": reference.f1_score(label, predicted, average="macro"),
        "macro_auroc": np.mean(areas),
        "cohen_kappa": reference.cohen_kappa_score(label, predicted),
    }
    assert found == pytest.approx(expected, abs=1e-12)
    np.testing.assert_array_equal(
        confusion(label, predicted, classes), reference.confusion_matrix(label, predicted, labels=range(classes))
    )


def test_a_class_without_windows_takes_no_part() -> None:
    label = np.array([0, 0, 1, 1])
    probability = np.array([[0.8, 0.1, 0.1], [0.2, 0.7, 0.1], [0.1, 0.8, 0.1], [0.3, 0.1, 0.6]])
    found = scores(label, probability)
    assert found["balanced_accuracy"] == 0.5
    # class 2 was predicted once, so its F1 of 0 counts, as in scikit-learn
    assert found["macro_f1"] == pytest.approx(reference.f1_score(label, probability.argmax(axis=1), average="macro"))
    # class 0: 0.8 and 0.2 against 0.1 and 0.3; class 1: 0.8 and 0.1 against 0.1 and 0.7
    assert found["macro_auroc"] == pytest.approx((0.75 + 0.625) / 2)


def test_a_single_class_leaves_auroc_and_kappa_undefined() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = scores(np.zeros(3, dtype=int), np.array([[0.9, 0.1]] * 3))
    assert found["accuracy"] == found["balanced_accuracy"] == found["macro_f1"] == 1
    assert math.isnan(found["macro_auroc"])
    assert math.isnan(found["cohen_kappa"])
    assert json_scores(found)["cohen_kappa"] is None


def test_a_constant_answer_scores_chance() -> None:
    found = scores(np.array([0, 1, 2] * 5), np.full((15, 3), 1 / 3))
    assert found["balanced_accuracy"] == pytest.approx(1 / 3)
    assert found["macro_auroc"] == pytest.approx(0.5)
    assert found["cohen_kappa"] == pytest.approx(0, abs=1e-12)


def test_predictions_that_are_not_finite_are_refused() -> None:
    with pytest.raises(TrainingError, match="finite"):
        scores(np.array([0, 1]), np.array([[0.5, np.nan], [0.5, 0.5]]))
