"""The figures by which predictions are judged, and the confusion matrix.

    symbol  meaning                                              shape
    y       label of each window                                 [n]
    p       probability of each class for each window            [n, K]
    M       confusion matrix, M_ab = windows of class a seen as b [K, K]

A class that a part does not have cannot be recalled: it takes no part in `balanced_accuracy` and `macro_auroc`, and
in `macro_f1` only where it was predicted (then its F1 is 0). A figure that is not defined at all is NaN, None in JSON.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import get_args

import numpy as np
import scipy  # its parts when they are used: statistics take half a second to import
from numpy.typing import NDArray

from scmmlab.config.study import MetricName
from scmmlab.errors import TrainingError

METRICS: tuple[MetricName, ...] = get_args(MetricName)


def scores(label: NDArray[np.integer], probability: NDArray[np.floating]) -> dict[str, float]:
    """All figures of METRICS, in that order.

    Parameters
    ----------
    label : array of int, shape=(n,)
        Class of each window, at least one window.
    probability : array of float, shape=(n, classes)
        Probability of each class, or any numbers that rise with it. The first of the largest is the prediction.

    Returns
    -------
    dict of str to float
        Shares in [0, 1]; kappa in [-1, 1]; NaN where a figure is not defined.

    Raises
    ------
    TrainingError
        If a probability is not finite.
    """
    if not np.isfinite(probability).all():
        raise TrainingError(
            "The predictions to be judged must be finite numbers, but some are not.",
            hint="lower the learning rate: the training has diverged.",
        )
    classes = probability.shape[1]
    matrix = confusion(label, probability.argmax(axis=1), classes)
    return {
        "accuracy": float(np.trace(matrix) / matrix.sum()),
        "balanced_accuracy": balanced_accuracy(matrix),
        "macro_f1": macro_f1(matrix),
        "macro_auroc": macro_auroc(label, probability),
        "cohen_kappa": cohen_kappa(matrix),
    }


def json_scores(figures: Mapping[str, float]) -> dict[str, float | None]:
    """`figures` as JSON has them: None for NaN."""
    return {name: None if math.isnan(value) else value for name, value in figures.items()}


def confusion(label: NDArray[np.integer], predicted: NDArray[np.integer], classes: int) -> NDArray[np.int64]:
    """How many windows of each class (rows) were seen as each class (columns), shape=(classes, classes)."""
    cells = np.asarray(label, dtype=np.int64) * classes + np.asarray(predicted, dtype=np.int64)
    return np.bincount(cells, minlength=classes * classes).reshape(classes, classes)


def balanced_accuracy(matrix: NDArray[np.int64]) -> float:
    """Mean recall of the classes that there are."""
    # M_aa / Σ_b M_ab, mean over the classes a with a window
    windows = matrix.sum(axis=1)
    present = windows > 0
    return float(np.mean(np.diag(matrix)[present] / windows[present]))


def macro_f1(matrix: NDArray[np.int64]) -> float:
    """Mean F1 of the classes that occur among labels or predictions."""
    # F1_a = 2 M_aa / (Σ_b M_ab + Σ_b M_ba)
    both = matrix.sum(axis=1) + matrix.sum(axis=0)
    present = both > 0
    return float(np.mean(2 * np.diag(matrix)[present] / both[present]))


def macro_auroc(label: NDArray[np.integer], probability: NDArray[np.floating]) -> float:
    """Mean over classes of the area under the ROC curve of one class against the rest; NaN with a single class."""
    # AUROC_a = (Σ_{i: y_i = a} rank_i − n_a (n_a + 1) / 2) / (n_a (n − n_a)), the Mann-Whitney form:
    # tied values share their mean rank, and so count one half
    areas = []
    for one in range(probability.shape[1]):
        positive = np.asarray(label) == one
        n_positive = int(positive.sum())
        n_negative = positive.size - n_positive
        if n_positive and n_negative:
            ranks = scipy.stats.rankdata(probability[:, one])
            areas.append((ranks[positive].sum() - n_positive * (n_positive + 1) / 2) / (n_positive * n_negative))
    return float(np.mean(areas)) if areas else math.nan


def cohen_kappa(matrix: NDArray[np.int64]) -> float:
    """Agreement beyond chance (Cohen 1960, doi:10.1177/001316446002000104); NaN if all is one class, seen as it."""
    # κ = (p_o − p_e) / (1 − p_e),  p_o = Σ_a M_aa / n,  p_e = Σ_a (Σ_b M_ab)(Σ_b M_ba) / n²
    total = matrix.sum()
    observed = np.trace(matrix) / total
    expected = (matrix.sum(axis=1) / total) @ (matrix.sum(axis=0) / total)
    return float((observed - expected) / (1 - expected)) if expected < 1 else math.nan
