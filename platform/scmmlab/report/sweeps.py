"""What a sweep tried, in forms that its analyses share."""

from __future__ import annotations

import math
from dataclasses import dataclass

from scmmlab.config import Choices, Domain, conditions
from scmmlab.report.inputs import StudyResults
from scmmlab.report.measures import setting
from scmmlab.study import TuneTrialRecord


@dataclass(frozen=True)
class Judged:
    """Settings with a figure each that may be compared with one another.

    Parameters
    ----------
    epoch : int | None
        The epoch at which all of them were probed; None if the figures are those at the end.
    trials : tuple of TuneTrialRecord
        The settings.
    values : tuple of float
        The objective of each.
    """

    epoch: int | None
    trials: tuple[TuneTrialRecord, ...]
    values: tuple[float, ...]


def judged(results: StudyResults) -> Judged:
    """All settings by their objective at the last epoch that all of them reached.

    A setting that was stopped early has no figure at the end, and leaving it out would keep the good ones alone. So
    where some were stopped, all are judged at the last probe that they share; else at the end.
    """
    ended = [trial for trial in results.sweep if trial.state in ("complete", "pruned")]
    if all(trial.state == "complete" for trial in ended):
        known = [trial for trial in ended if trial.value is not None and math.isfinite(trial.value)]
        return Judged(None, tuple(known), tuple(float(trial.value) for trial in known if trial.value is not None))
    probes = [dict(trial.intermediate) for trial in ended]
    shared = set.intersection(*map(set, probes)) if probes else set()
    if not shared:
        return Judged(None, (), ())
    epoch = max(shared)
    return Judged(epoch, tuple(ended), tuple(probe[epoch] for probe in probes))


def best_trial(results: StudyResults) -> TuneTrialRecord | None:
    """The complete setting with the greatest objective; the first of equals."""
    complete = [trial for trial in results.sweep if trial.state == "complete" and trial.value is not None]
    return max(complete, key=lambda trial: (trial.value or 0.0, -trial.number), default=None)


def spent(trial: TuneTrialRecord) -> int:
    """Epochs that a setting which was tried to the end took: those of its last probe."""
    return trial.intermediate[-1][0]


def pareto_optimal(results: StudyResults) -> list[TuneTrialRecord]:
    """Settings tried to the end that no other beats in one of probe and epochs without losing in the other.

    From the fewest epochs to the most, so that the objective rises; of equals, all.
    """
    complete = [trial for trial in results.sweep if trial.state == "complete" and trial.value is not None]
    front: list[TuneTrialRecord] = []
    for trial in sorted(complete, key=lambda trial: (spent(trial), -(trial.value or 0.0), trial.number)):
        best = front[-1] if front else None
        equal = best is not None and (trial.value, spent(trial)) == (best.value, spent(best))
        if best is None or equal or (trial.value or 0.0) > (best.value or 0.0):
            front.append(trial)
    return front


def is_ordered(results: StudyResults, path: str) -> bool:
    """Whether a parameter is a number over a range."""
    return not isinstance(results.search.space[path], Choices)


def is_log(results: StudyResults, path: str) -> bool:
    """Whether a parameter is searched on a logarithmic scale."""
    space = results.search.space[path]
    return not isinstance(space, Choices) and space.log


def last_value(trial: TuneTrialRecord) -> float | None:
    """The objective at the end, or where the setting was stopped."""
    if trial.value is not None:
        return trial.value
    return trial.intermediate[-1][1] if trial.intermediate else None


def condition_text(domain: Domain) -> str:
    """Such as “where `masking.mode` is random or hybrid”; empty where a domain is searched always."""
    parts = [f"`{path}` is {' or '.join(map(setting, values))}" for path, values in conditions(domain).items()]
    return f"where {' and '.join(parts)}" if parts else ""
