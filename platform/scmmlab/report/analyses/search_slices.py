"""Slices of a sweep: the objective against each parameter."""

from __future__ import annotations

from typing import Any

from scmmlab.config import Choices
from scmmlab.report import drawing as draw
from scmmlab.report.analysis import Analysis, NotReady
from scmmlab.report.card import Card, Figure
from scmmlab.report.inputs import StudyResults
from scmmlab.report.measures import listed, setting
from scmmlab.report.sweeps import best_trial, condition_text, is_log, last_value
from scmmlab.study import TuneTrialRecord

_COLUMNS = 3


class SearchSlices(Analysis):
    """One panel a parameter."""

    slug = "slices"
    title = "Slices"

    def compute(self, results: StudyResults) -> Card:
        """The figure."""
        probed = [trial for trial in results.sweep if last_value(trial) is not None]
        if not probed:
            raise NotReady("No setting has been probed yet.")
        paths = list(results.search.space)
        columns = min(len(paths), _COLUMNS)
        rows = -(-len(paths) // columns)
        drawing, axes = draw.panels(rows, columns, 2.1 * rows, sharey=True)
        for panel in axes.flat[len(paths) :]:
            panel.set_visible(False)
        for panel, path in zip(axes.flat, paths, strict=False):
            _panel(panel, results, path, probed)
        for row in axes:
            row[0].set_ylabel("validation bal. acc. (%)")
        figure = Figure(
            name="slices",
            caption=(
                "Validation balanced accuracy of the probe against each parameter. Full: settings tried to the end; "
                "hollow: where a setting was stopped early, after fewer epochs and so not comparable in height; "
                f"orange: the best.{_conditions(results)}"
            ),
            alt="Scatter plots of the objective against each parameter.",
            drawing=drawing,
        )
        return self.card(figure)


def _conditions(results: StudyResults) -> str:
    """Which panels lack settings, and why."""
    limited = [f"`{path}` {condition_text(domain)}" for path, domain in results.search.space.items() if domain.when]
    return f" A panel shows those in which its parameter was searched: {listed(limited)}." if limited else ""


def _panel(panel: Any, results: StudyResults, path: str, probed: list[TuneTrialRecord]) -> None:
    space = results.search.space[path]
    best = best_trial(results)
    place = (
        {setting(choice): position for position, choice in enumerate(space.choices)}
        if isinstance(space, Choices)
        else None
    )
    for trial in probed:
        if path not in trial.params:
            continue
        value = trial.params[path]
        x = place[setting(value)] if place is not None else value
        chosen = best is not None and trial.number == best.number
        colour = draw.BAD if chosen else draw.GOOD if trial.state == "complete" else draw.MUTED
        face = colour if trial.state == "complete" else "white"
        panel.plot(
            x, 100 * (last_value(trial) or 0.0), "o", markersize=6 if chosen else 4, markerfacecolor=face,
            markeredgecolor=colour, alpha=1 if chosen else 0.75, zorder=4 if chosen else 2,
        )  # fmt: skip
    panel.grid(axis="y")
    panel.set_title(path, fontsize=8)
    if place is not None:
        panel.set_xticks(range(len(place)), list(place))
        panel.set_xlim(-0.6, len(place) - 0.4)
    elif is_log(results, path):
        panel.set_xscale("log")
