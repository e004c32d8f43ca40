"""The numbers of the report's tables as frames; each is computed where the report has it from."""

from __future__ import annotations

from dataclasses import asdict
from typing import Literal

import pandas as pd

from scmmlab.api.frames import frame_of
from scmmlab.errors import SpecError, nearest
from scmmlab.evaluation import mean_and_sd
from scmmlab.report import StudyResults
from scmmlab.report.analyses import markers
from scmmlab.report.comparisons import compare
from scmmlab.report.measures import MEASURES
from scmmlab.report.values import subject_means


def summary(results: StudyResults, metric: str | None) -> pd.DataFrame:
    """Mean and standard deviation over subjects, seeds averaged within a subject first.

    Columns are `transfer`, `variant`, `subjects`, `seeds`, `mean`, `sd` and `leaks`, whether it is judged by the
    released protocol.
    """
    metric, rows = _metric(results, metric), []
    for transfer in results.ablation.transfers:
        for variant in results.ablation.variants:
            finished = results.finished(variant, transfer.name)
            values = list(subject_means(finished, metric).values())
            mean, sd = mean_and_sd(values)
            rows.append(
                {
                    "transfer": transfer.name,
                    "variant": variant,
                    "subjects": len(values),
                    "seeds": len(finished),
                    "mean": mean,
                    "sd": sd,
                    "leaks": markers.is_released(results, variant),
                }
            )
    return frame_of(rows, types={"leaks": "bool"})


def comparisons(results: StudyResults, metric: str | None) -> pd.DataFrame:
    """The paired comparisons with the reference; `difference`, `low` and `high` are in the metric's own unit."""
    made = compare(results, _metric(results, metric)).made
    columns = ("transfer", "variant", "subjects", "difference", "low", "high", "effect", "p", "p_holm", "verdict")
    rows = [
        {"transfer": transfer, "variant": variant, **asdict(found), "verdict": found.verdict.value}
        for (variant, transfer), found in made.items()
    ]
    return frame_of(rows, columns, {"subjects": "int64"} | dict.fromkeys(columns[3:9], "float64"))


def curves(results: StudyResults, stage: Literal["pretrain", "finetune"]) -> pd.DataFrame:
    """The curves of finished cells; what a cell has no figure of is missing in its rows."""
    if stage not in ("pretrain", "finetune"):
        raise SpecError(f"Invalid value for 'stage': it must be 'pretrain' or 'finetune', got {stage!r}.")
    rows = [
        {"variant": cell.variant, "transfer": cell.transfer, "seed": cell.seed, **point}
        for cell in results.cells
        for point in ((cell.record or {}).get("curves") or {}).get(stage) or ()
    ]
    columns = list(dict.fromkeys([*("variant", "transfer", "seed", "epoch"), *(name for row in rows for name in row)]))
    complete = [{name: row.get(name) for name in columns} for row in rows]
    return frame_of(complete, columns, {"seed": "int64", "epoch": "int64"})


def trials(results: StudyResults) -> pd.DataFrame:
    """The settings of a sweep: `number`, `value`, `state`, `epochs`, `error` and `params_PATH` of each path."""
    paths = sorted({path for trial in results.sweep for path in trial.params})
    rows = [
        {
            "number": trial.number,
            "value": trial.value,
            "state": trial.state,
            "epochs": trial.intermediate[-1][0] if trial.intermediate else None,
            "error": trial.error,
            **{f"params_{path}": trial.params.get(path) for path in paths},
        }
        for trial in results.sweep
    ]
    columns = ("number", "value", "state", "epochs", "error", *(f"params_{path}" for path in paths))
    return frame_of(rows, columns, {"number": "int64", "value": "float64", "epochs": "Int64"})


def _metric(results: StudyResults, metric: str | None) -> str:
    if metric is None:
        return results.ablation.statistics.metric
    if metric not in MEASURES:
        guess = nearest(metric, MEASURES)
        raise SpecError(
            f"Invalid value for 'metric': it must be one of {', '.join(map(repr, MEASURES))}, got {metric!r}.",
            f"did you mean {guess!r}?" if guess else None,
        )
    return metric
