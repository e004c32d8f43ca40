"""From evaluate records to one value a subject: the numbers that tables, tests and figures share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scmmlab.evaluation import seeds_averaged
from scmmlab.report.inputs import CellResult, StudyResults


def subject_scores(record: dict[str, Any], metric: str) -> dict[int, float]:
    """The figure of each tested subject of one cell; NaN where it is not defined."""
    return {
        int(subject): _number(figures.get(metric))
        for fold in record["folds"]
        for subject, figures in fold["by_subject"].items()
    }


def subject_means(cells: Sequence[CellResult], metric: str) -> dict[int, float]:
    """One value a subject: the mean over the seeds in which the subject was tested."""
    values: dict[int, list[float]] = {}
    for cell in cells:
        assert cell.record is not None
        for subject, value in subject_scores(cell.record, metric).items():
            values.setdefault(subject, []).append(value)
    return seeds_averaged(values)


def paired_subject_means(
    reference: Sequence[CellResult], variant: Sequence[CellResult], metric: str
) -> tuple[dict[int, float], dict[int, float]]:
    """One value a subject on each side, over the seeds that both sides have, so that like is compared with like."""
    shared = {cell.seed for cell in reference} & {cell.seed for cell in variant}
    return (
        subject_means([cell for cell in reference if cell.seed in shared], metric),
        subject_means([cell for cell in variant if cell.seed in shared], metric),
    )


def seed_means(cells: Sequence[CellResult], metric: str) -> list[float]:
    """The mean over subjects of each seed."""
    means = []
    for cell in cells:
        assert cell.record is not None
        values = [value for value in subject_scores(cell.record, metric).values() if not math.isnan(value)]
        if values:
            means.append(float(np.mean(values)))
    return means


def pooled_confusion(cells: Sequence[CellResult]) -> NDArray[np.int64]:
    """Windows of each class seen as each class, over all folds and seeds, shape=(classes, classes)."""
    matrices = [fold["confusion"] for cell in cells if cell.record for fold in cell.record["folds"]]
    return np.sum(np.asarray(matrices, dtype=np.int64), axis=0)


def test_windows(results: StudyResults, transfer: str) -> NDArray[np.int64] | None:
    """Test windows of each class in one cell of a transfer, or None while none is finished."""
    for cell in _reference_first(results):
        if cell.transfer == transfer and cell.state == "finished":
            return pooled_confusion([cell]).sum(axis=1)
    return None


def mean_curve(cells: Sequence[CellResult], part: str, name: str) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Epochs and the mean over seeds of a curve (`part` is `pretrain` or `finetune`); empty where there is none.

    Epochs that not every seed has are left out, so that no step of the line is a change of seeds.
    """
    curves = []
    for cell in cells:
        assert cell.record is not None
        points = (cell.record.get("curves") or {}).get(part) or []
        curves.append({int(point["epoch"]): float(point[name]) for point in points if point.get(name) is not None})
    shared = sorted(set.intersection(*map(set, curves))) if curves else []
    if not shared:
        return np.zeros(0, dtype=np.int64), np.zeros(0)
    values = np.array([[curve[epoch] for epoch in shared] for curve in curves], dtype=np.float64)
    return np.array(shared, dtype=np.int64), values.mean(axis=0)


def _reference_first(results: StudyResults) -> list[CellResult]:
    reference = results.ablation.statistics.reference
    return sorted(results.cells, key=lambda cell: cell.variant != reference)


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)
