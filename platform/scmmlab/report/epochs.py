"""Test accuracy by epoch under the released protocol, and what choosing the best epoch adds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from scmmlab.report.inputs import CellResult


def test_by_epoch(cells: Sequence[CellResult]) -> dict[str, NDArray[np.float64]]:
    """Test accuracy by epoch of each fold, by its name, shape=(seeds, epochs); empty where records have none."""
    folds: dict[str, list[list[float]]] = {}
    for cell in cells:
        assert cell.record is not None
        for fold in cell.record["folds"]:
            if fold.get("test_by_epoch"):
                folds.setdefault(fold["name"], []).append(fold["test_by_epoch"])
    return {name: np.array(curves, dtype=np.float64) for name, curves in folds.items()}


def last_and_best(folds: dict[str, NDArray[np.float64]]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Each fold's accuracy at the last and at its best epoch, seeds averaged; each seed has a best epoch of its own."""
    last = np.array([curves[:, -1].mean() for curves in folds.values()])
    best = np.array([curves.max(axis=1).mean() for curves in folds.values()])
    return last, best
