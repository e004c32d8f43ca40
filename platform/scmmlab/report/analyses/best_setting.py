"""The best setting of a sweep, beside the base, and those that came next."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from scmmlab.config import Choices
from scmmlab.report.analysis import Analysis, NotReady
from scmmlab.report.card import Card, ReportTable, Row, Text
from scmmlab.report.inputs import StudyResults
from scmmlab.report.measures import MEASURES, NOTHING, plural, setting
from scmmlab.report.sweeps import best_trial, condition_text
from scmmlab.study import TuneTrialRecord

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
        return self.card(text, _setting(results, best), _ranking(results))


def searched_value(params: Mapping[str, Any], path: str) -> str:
    """What a setting has at a path of the space; a dash where the path was not searched in it."""
    return setting(params[path]) if path in params else NOTHING


def not_searched(trials: Iterable[TuneTrialRecord], paths: Collection[str]) -> tuple[str, ...]:
    """What a dash in a table of settings means; nothing where there is none."""
    if all(path in trial.params for trial in trials for path in paths):
        return ()
    return (f"{NOTHING}: not searched in this setting, as the condition on it does not hold; the base's value stands.",)


def _setting(results: StudyResults, best: TuneTrialRecord) -> ReportTable:
    base = results.search.base.model_dump(mode="json")
    rows = [
        Row.of(f"`{path}`", searched_value(best.params, path), setting(_at(base, path)), _range(results, path))
        for path in results.search.space
    ]
    return ReportTable(
        name="best",
        caption="The best setting (numbers rounded to four digits), the base, and what was searched.",
        columns=("parameter", "best", "base", "searched"),
        align="lrrl",
        rows=tuple(rows),
        notes=not_searched([best], results.search.space),
    )


def _ranking(results: StudyResults) -> ReportTable:
    complete = [trial for trial in results.sweep if trial.state == "complete" and trial.value is not None]
    ranked = sorted(complete, key=lambda trial: (-(trial.value or 0.0), trial.number))[:_SHOWN]
    paths = list(results.search.space)
    rows = [
        Row.of(
            str(trial.number),
            _MEASURE.value(trial.value or 0.0),
            *(searched_value(trial.params, path) for path in paths),
        )
        for trial in ranked
    ]
    return ReportTable(
        name="ranking",
        caption=(
            f"The {plural(len(rows), 'best setting')} tried to the end: validation balanced accuracy (%) of the probe, "
            "mean over folds."
        ),
        columns=("number", "objective", *(f"`{path}`" for path in paths)),
        align="r" * (len(paths) + 2),
        rows=tuple(rows),
        notes=not_searched(ranked, paths),
    )


def _range(results: StudyResults, path: str) -> str:
    domain = results.search.space[path]
    if isinstance(domain, Choices):
        text = "one of " + ", ".join(setting(choice) for choice in domain.choices)
    else:
        steps = f", steps of {setting(domain.step)}" if domain.step is not None else ""
        text = f"{setting(domain.low)} to {setting(domain.high)}{', logarithmic' if domain.log else ''}{steps}"
    condition = condition_text(domain)
    return f"{text}, {condition}" if condition else text


def _at(values: Any, path: str) -> object:
    for name in path.split("."):
        if not isinstance(values, dict) or name not in values:
            return NOTHING
        values = values[name]
    return values
