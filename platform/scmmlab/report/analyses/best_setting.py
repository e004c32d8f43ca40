"""The best setting of a sweep, beside the base, and those that came next."""

from __future__ import annotations

from typing import Any

from scmmlab.config import Choices
from scmmlab.report.analysis import Analysis, NotReady
from scmmlab.report.card import Card, Row, Table, Text
from scmmlab.report.inputs import StudyResults
from scmmlab.report.measures import MEASURES, NOTHING, plural, setting
from scmmlab.report.sweeps import best_trial

_MEASURE = MEASURES["balanced_accuracy"]
_SHOWN = 10


class BestSetting(Analysis):
    """Which setting the search chose, by validation alone."""

    slug = "best-setting"
    title = "Best setting"

    def compute(self, results: StudyResults) -> Card:
        """The counts, the best setting, and the ten best."""
        best = best_trial(results)
        if best is None or best.value is None:
            raise NotReady("No setting has been tried to the end, so there is no best one yet.")
        states: list[str] = [trial.state for trial in results.sweep]
        counts = ", ".join(
            f"{states.count(state)} {word}"
            for state, word in (("complete", "to the end"), ("pruned", "stopped early"), ("failed", "failed"))
            if states.count(state)
        )
        text = Text(
            f"Of {plural(len(states), 'setting')} tried ({counts}), number {best.number} has the best validation "
            f"balanced accuracy: {_MEASURE.value(best.value)} %. It was chosen as the best of many on the validation "
            "part, so this figure flatters it: what it is worth shows an ablation with the setting as a variant, "
            "judged on the test part."
        )
        return self.card(text, _setting(results, best.params), _ranking(results))


def _setting(results: StudyResults, params: Any) -> Table:
    base = results.search.base.model_dump(mode="json")
    rows = [
        Row.of(f"`{path}`", setting(params[path]), setting(_at(base, path)), _range(results, path))
        for path in results.search.space
    ]
    return Table(
        name="best",
        caption="The best setting (numbers rounded to four digits), the base, and what was searched.",
        columns=("parameter", "best", "base", "searched"),
        align="lrrl",
        rows=tuple(rows),
    )


def _ranking(results: StudyResults) -> Table:
    complete = [trial for trial in results.sweep if trial.state == "complete" and trial.value is not None]
    ranked = sorted(complete, key=lambda trial: (-(trial.value or 0.0), trial.number))[:_SHOWN]
    paths = list(results.search.space)
    rows = [
        Row.of(str(trial.number), _MEASURE.value(trial.value or 0.0), *(setting(trial.params[path]) for path in paths))
        for trial in ranked
    ]
    return Table(
        name="ranking",
        caption=(
            f"The {plural(len(rows), 'best setting')} tried to the end: validation balanced accuracy (%) of the probe, "
            "mean over folds."
        ),
        columns=("number", "objective", *(f"`{path}`" for path in paths)),
        align="r" * (len(paths) + 2),
        rows=tuple(rows),
    )


def _range(results: StudyResults, path: str) -> str:
    space = results.search.space[path]
    if isinstance(space, Choices):
        return "one of " + ", ".join(setting(choice) for choice in space.choices)
    steps = f", steps of {setting(space.step)}" if space.step is not None else ""
    return f"{setting(space.low)} to {setting(space.high)}{', logarithmic' if space.log else ''}{steps}"


def _at(values: Any, path: str) -> object:
    for name in path.split("."):
        if not isinstance(values, dict) or name not in values:
            return NOTHING
        values = values[name]
    return values
