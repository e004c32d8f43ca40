"""Results as rows: one for each cell, fold and metric, in a fixed order, the same bytes from the same store.

A sweep has rows of its own: one for each tune_trial and each time that it was judged.

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
from scmmlab.study.tune_trials import TuneTrialRecord

PROBE_METRIC = "validation_balanced_accuracy"
"""What a sweep's settings are judged by."""


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


def trial_rows(study: str, trials: Iterable[TuneTrialRecord]) -> list[dict[str, Any]]:
    """Rows of a sweep's tune_trials that have ended, in the order of their numbers and epochs.

    Parameters
    ----------
    study : str
        Name of the sweep.
    trials : iterable of TuneTrialRecord
        Their records (`search_records`).

    Returns
    -------
    list of dict
        ``study``, ``tune_trial``, ``state``, ``error``, then what was sampled, by its path in the experiment, then
        ``epoch``, ``metric`` and ``value``: what the probe said of it, each time. One that was never judged has one
        row, without them.
    """
    ended = sorted(trials, key=lambda record: record.number)
    sampled = sorted({path for record in ended for path in record.params})
    rows = []
    for record in ended:
        trial = {"study": study, "tune_trial": record.number, "state": record.state, "error": record.error}
        trial |= {path: record.params.get(path) for path in sampled}
        for epoch, value in record.intermediate or [(None, None)]:
            rows.append({**trial, "epoch": epoch, "metric": PROBE_METRIC, "value": value})
    return rows


def rows_csv(rows: Sequence[ResultRow] | Sequence[Mapping[str, Any]]) -> str:
    """Rows as CSV with a header line; what is None is empty, several subjects are parted by blanks."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    table = [_columns(row) for row in rows]
    writer.writerow(table[0] if table else [column.name for column in fields(ResultRow)])
    writer.writerows([[_text(value) for value in row.values()] for row in table])
    return out.getvalue()


def rows_json(rows: Sequence[ResultRow] | Sequence[Mapping[str, Any]]) -> str:
    """Rows as a JSON list, one row a line."""
    lines = [json.dumps(_columns(row), ensure_ascii=False, allow_nan=False) for row in rows]
    return "[\n" + ",\n".join(lines) + "\n]\n" if lines else "[]\n"


def _columns(row: ResultRow | Mapping[str, Any]) -> dict[str, Any]:
    return asdict(row) if isinstance(row, ResultRow) else dict(row)


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return repr(float(value))  # the shortest text that reads back as the same number
    return " ".join(map(str, value)) if isinstance(value, tuple | list) else str(value)


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
