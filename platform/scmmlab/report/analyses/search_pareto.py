"""The Pareto-optimal settings of a sweep with two objectives: what each number of epochs can buy."""

from __future__ import annotations

from matplotlib.ticker import LogLocator, NullLocator, ScalarFormatter

from scmmlab.report import drawing as draw
from scmmlab.report.analyses.best_setting import not_searched, searched_value
from scmmlab.report.analysis import Analysis, NotReady
from scmmlab.report.card import Card, Figure, ReportTable, Row, Text
from scmmlab.report.inputs import StudyResults
from scmmlab.report.measures import MEASURES, plural
from scmmlab.report.sweeps import best_trial, is_log, pareto_optimal, spent
from scmmlab.study import TuneTrialRecord

_MEASURE = MEASURES["balanced_accuracy"]


class SearchPareto(Analysis):
    """Balanced accuracy against the epochs spent on it."""

    slug = "pareto"
    title = "Accuracy and epochs"

    def compute(self, results: StudyResults) -> Card:
        """A sentence, the figure, and the Pareto-optimal settings."""
        complete = [trial for trial in results.sweep if trial.state == "complete" and trial.value is not None]
        if not complete:
            raise NotReady("No setting has been tried to the end, so none is Pareto-optimal yet.")
        front = pareto_optimal(results)
        text = Text(
            f"Of {plural(len(complete), 'setting')} tried to the end, {len(front)} "
            f"{'is' if len(front) == 1 else 'are'} Pareto-optimal: no other has a better validation balanced accuracy "
            "in as few epochs, or the same in fewer. Settings that were stopped early take no part: what they would "
            "have reached is not known. The figures are the best of many on the validation part, which flatters them."
        )
        return self.card(text, _figure(results, complete, front), _table(results, front))


def _figure(results: StudyResults, complete: list[TuneTrialRecord], front: list[TuneTrialRecord]) -> Figure:
    drawing, axes = draw.panels(1, 1, 3.0)
    panel = axes[0, 0]
    panel.grid()
    best = best_trial(results)
    steps = [(spent(trial), 100 * (trial.value or 0.0)) for trial in front]
    # what can be had for so many epochs stays what it is until the next setting
    last = max(spent(trial) for trial in complete)
    panel.step([*(x for x, _ in steps), last], [*(y for _, y in steps), steps[-1][1]], where="post", color=draw.GOOD)
    optimal = {trial.number for trial in front}
    for trial in complete:
        chosen = best is not None and trial.number == best.number
        colour = draw.BAD if chosen else draw.GOOD if trial.number in optimal else draw.MUTED
        face = colour if trial.number in optimal else "white"
        x, y = spent(trial), 100 * (trial.value or 0.0)
        panel.plot(x, y, "o", markersize=5, markerfacecolor=face, markeredgecolor=colour, zorder=3)
        if trial.number in optimal:
            panel.annotate(
                str(trial.number), (x, y), xytext=(3, 5), textcoords="offset points", fontsize=7.5, color=draw.INK
            )
    if is_log(results, results.search.base.budget or ""):
        panel.set_xscale("log")
        panel.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        panel.xaxis.set_major_formatter(ScalarFormatter())
        panel.xaxis.set_minor_locator(NullLocator())
    panel.set_xlabel("pre-training epochs")
    panel.set_ylabel("validation balanced accuracy (%)")
    return Figure(
        name="pareto",
        caption=(
            "Validation balanced accuracy of the probe at the end against the epochs spent, settings tried to the end. "
            "Full, with their numbers: Pareto-optimal; orange: the best setting; line: the best within so many epochs."
        ),
        alt="Scatter plot of the objective against epochs; the Pareto-optimal settings are in the table below.",
        drawing=drawing,
    )


def _table(results: StudyResults, front: list[TuneTrialRecord]) -> ReportTable:
    paths = [path for path in results.search.space if path != results.search.base.budget]
    return ReportTable(
        name="pareto",
        caption=(
            "The Pareto-optimal settings, from the fewest epochs to the most: validation balanced accuracy (%) of the "
            "probe, mean over folds."
        ),
        columns=("number", "epochs", "objective", *(f"`{path}`" for path in paths)),
        align="r" * (len(paths) + 3),
        rows=tuple(
            Row.of(
                str(trial.number),
                str(spent(trial)),
                _MEASURE.value(trial.value or 0.0),
                *(searched_value(trial.params, path) for path in paths),
            )
            for trial in front
        ),
        notes=not_searched(front, paths),
    )
