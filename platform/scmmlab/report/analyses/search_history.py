"""How a sweep went: the objective in the order of sampling, and by epoch."""

from __future__ import annotations

import numpy as np

from scmmlab.report import drawing as draw
from scmmlab.report.analysis import Analysis, NotReady
from scmmlab.report.card import Card, Figure
from scmmlab.report.inputs import StudyResults
from scmmlab.report.sweeps import best_trial, last_value


class SearchHistory(Analysis):
    """Whether the search still improves, and what early stopping cut."""

    slug = "history"
    title = "History of the search"

    def compute(self, results: StudyResults) -> Card:
        """A figure with two panels."""
        if not any(last_value(trial) is not None for trial in results.sweep):
            raise NotReady("No setting has been probed yet.")
        return self.card(_figure(results))


def _figure(results: StudyResults) -> Figure:
    drawing, axes = draw.panels(1, 2, 2.9, sharey=True)
    order, epochs = axes[0]
    best = best_trial(results)
    for trial in results.sweep:
        value = last_value(trial)
        if value is None:
            continue
        complete = trial.state == "complete"
        face = draw.GOOD if complete else "white"
        edge = draw.GOOD if complete else draw.MUTED
        order.plot(trial.number, 100 * value, "o", markersize=5, markerfacecolor=face, markeredgecolor=edge, zorder=3)
        if trial.intermediate:
            x, y = np.array(trial.intermediate, dtype=np.float64).T
            chosen = best is not None and trial.number == best.number
            colour, width = (draw.BAD, 2.2) if chosen else (draw.GOOD, 1.1) if complete else (draw.MUTED, 0.8)
            epochs.plot(
                x, 100 * y, color=colour, linewidth=width, alpha=1 if chosen else 0.6, zorder=4 if chosen else 2
            )
            epochs.plot(x[-1], 100 * y[-1], "o", markersize=3, color=colour, zorder=4)
    complete_trials = sorted(
        (trial for trial in results.sweep if trial.state == "complete" and trial.value is not None),
        key=lambda t: t.number,
    )
    if complete_trials:
        numbers = [trial.number for trial in complete_trials]
        so_far = 100 * np.maximum.accumulate([trial.value or 0.0 for trial in complete_trials])
        order.step([*numbers, len(results.sweep) - 1], [*so_far, so_far[-1]], where="post", color=draw.BAD, zorder=2)
    order.set_xlabel("setting, in the order of sampling")
    epochs.set_xlabel("pre-training epoch of the probe")
    order.set_ylabel("validation balanced accuracy (%)")
    for panel, title in ((order, "by setting"), (epochs, "by epoch")):
        panel.grid(axis="y")
        panel.set_title(title)
    return Figure(
        name="history",
        caption=(
            "Validation balanced accuracy of the probe, mean over folds. Left: each setting at its end (full) or where "
            "it was stopped early (hollow), and the best so far (orange). Right: the probes of each setting by epoch; "
            "blue: to the end, grey: stopped early, orange: the best setting."
        ),
        alt="The objective of each setting in the order of sampling, and by epoch.",
        drawing=drawing,
    )
