"""Results as rows: one for each cell, fold and metric, in a fixed order, the same bytes from the same store.

No time and no host name is among them, and numbers are written so that they read back exactly.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from scmmlab.evaluation import METRICS
from scmmlab.study.cells import Cell


@dataclass(frozen=True)
class ResultRow:
    """One figure of one fold, or of one subject in it."""

    study: str
    """Name of the study."""
    variant: str
    """Name of the variant."""
    transfer: str
    """Name of the transfer."""
    seed: int
    """Seed of the cell."""
    fold: str
    """Name of the fold."""
    subjects: tuple[int, ...]
    """The fold's tested subjects."""
    subject: int | None
    """The subject that the figure is of; None for the fold as a whole."""
    part: Literal["validation", "test"]
    """What the figure is of."""
    metric: str
    """Name of the figure."""
    value: float | None
    """The figure; None where it is not defined."""


def result_rows(
    study: str,
    cells: Iterable[Cell],
    record_of: Callable[[str], Mapping[str, Any] | None],
    by: Literal["fold", "subject"] = "fold",
) -> list[ResultRow]:
    """Rows of all finished cells, in the order of cells, folds, parts and metrics.

    Parameters
    ----------
    study : str
        Name of the study.
    cells : iterable of Cell
        In the order of the plan.
    record_of : callable
        Key of a cell → its record, None where it is not finished (`ResultStore.get_cell`).
    by : {"fold", "subject"}
        Whether a figure is of a fold as a whole, or of each tested subject.
    """
    rows: list[ResultRow] = []
    for cell in cells:
        record = record_of(cell.key)
        for fold in record["folds"] if record else ():
            for part, subject, figures in _figures(fold, by):
                rows += [
                    ResultRow(
                        study=study,
                        variant=cell.variant,
                        transfer=cell.transfer.name,
                        seed=cell.seed,
                        fold=fold["name"],
                        subjects=tuple(fold["subjects"]),
                        subject=subject,
                        part=part,
                        metric=metric,
                        value=figures[metric],
                    )
                    for metric in _in_order(figures)
                ]
    return rows


def rows_csv(rows: Sequence[ResultRow]) -> str:
    """Rows as CSV with a header line; what is None is empty, subjects are parted by blanks."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([column.name for column in fields(ResultRow)])
    for row in rows:
        values = {**asdict(row), "subjects": " ".join(map(str, row.subjects))}
        # repr is the shortest text that reads back as the same number
        values["value"] = "" if row.value is None else repr(float(row.value))
        writer.writerow(["" if value is None else value for value in values.values()])
    return out.getvalue()


def rows_json(rows: Sequence[ResultRow]) -> str:
    """Rows as a JSON list, one row a line."""
    lines = [json.dumps(asdict(row), ensure_ascii=False, allow_nan=False) for row in rows]
    return "[\n" + ",\n".join(lines) + "\n]\n" if lines else "[]\n"


def _figures(
    fold: Mapping[str, Any], by: Literal["fold", "subject"]
) -> Iterator[tuple[Literal["validation", "test"], int | None, Mapping[str, float | None]]]:
    if by == "subject":
        for subject in sorted(fold["by_subject"], key=int):
            yield "test", int(subject), fold["by_subject"][subject]
        return
    if fold["validation"] is not None:
        yield "validation", None, fold["validation"]
    yield "test", None, fold["test"]


def _in_order(figures: Mapping[str, Any]) -> list[str]:
    return [name for name in METRICS if name in figures] + sorted(set(figures) - set(METRICS))
