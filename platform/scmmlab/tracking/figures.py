"""Curves, means and tables out of a cell's record, in the forms that trackers show."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from typing import Any


def curves(record: Mapping[str, Any]) -> Iterator[tuple[str, int, dict[str, float]]]:
    """Stage, epoch and figures of every epoch that a cell's record holds."""
    for stage, rows in record["curves"].items():
        for row in rows:
            yield stage, int(row["epoch"]), {name: value for name, value in row.items() if name != "epoch"}


def mean_figures(record: Mapping[str, Any]) -> dict[str, float]:
    """`test/accuracy` and so on, means over the folds where the figure is defined."""
    values: dict[str, list[float]] = {}
    for fold in record["folds"]:
        for part in ("validation", "test"):
            for name, value in (fold.get(part) or {}).items():
                if value is not None:
                    values.setdefault(f"{part}/{name}", []).append(value)
    return {name: sum(of_folds) / len(of_folds) for name, of_folds in values.items()}


def fold_table(record: Mapping[str, Any]) -> str:
    """The folds as CSV: one row for each fold and part, one column for each figure."""
    folds = record["folds"]
    metrics = list(folds[0]["test"]) if folds else []
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["fold", "subjects", "epoch", "part", "windows", *metrics])
    for fold in folds:
        for part in ("validation", "test"):
            figures = fold.get(part)
            if figures is not None:
                numbers = ["" if (value := figures.get(name)) is None else repr(value) for name in metrics]
                subjects = " ".join(map(str, fold["subjects"]))
                writer.writerow([fold["name"], subjects, fold["epoch"], part, fold["windows"][part], *numbers])
    return out.getvalue()


def confusion_matrices(record: Mapping[str, Any]) -> dict[str, Any]:
    """Confusion matrix of each fold's test part, rows the true classes, and their sum."""
    matrices = {fold["name"]: fold["confusion"] for fold in record["folds"]}
    total = [[sum(cells) for cells in zip(*rows, strict=True)] for rows in zip(*matrices.values(), strict=True)]
    return {"classes": record["classes"], "folds": matrices, "all": total}
