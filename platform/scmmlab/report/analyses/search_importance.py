"""Which parameters of a sweep matter: the share of the objective's variance that each explains by itself."""

from __future__ import annotations

import numpy as np

from scmmlab.report import drawing as draw
from scmmlab.report.analysis import Analysis, NotReady
from scmmlab.report.card import Card, Figure, ReportTable, Row
from scmmlab.report.comparisons import generator
from scmmlab.report.importance import LEAST_IN_A_BIN, MOST_BINS, Importance, importance
from scmmlab.report.inputs import StudyResults
from scmmlab.report.measures import NOTHING, number
from scmmlab.report.sweeps import Judged, is_ordered, judged

_LEAST = 8


class SearchImportance(Analysis):
    """Main effects, against what noise would give."""

    slug = "importance"
    title = "Importance of the parameters"

    def compute(self, results: StudyResults) -> Card:
        """A figure and the table of its numbers, the most important first."""
        known = judged(results)
        if len(known.trials) < _LEAST:
            raise NotReady(
                f"Importance needs at least {_LEAST} settings that were probed at the same epoch; there are "
                f"{len(known.trials)}."
            )
        found: dict[str, Importance] = {}
        idle = []
        for path in results.search.space:
            having = _having(known, path)
            if len(having.trials) < _LEAST:
                idle.append(path)
            else:
                found[path] = _importance(results, having, path)
        if not found:
            raise NotReady(
                f"No parameter is searched in at least {_LEAST} settings that were probed at the same epoch."
            )
        ranked = dict(sorted(found.items(), key=lambda item: -item[1].share))
        return self.card(_figure(ranked), _table(results, ranked, idle, known))


def _having(known: Judged, path: str) -> Judged:
    """Those of the settings in which a parameter is searched."""
    pairs = [(trial, value) for trial, value in zip(known.trials, known.values, strict=True) if path in trial.params]
    return Judged(known.epoch, tuple(trial for trial, _ in pairs), tuple(value for _, value in pairs))


def _importance(results: StudyResults, known: Judged, path: str) -> Importance:
    values = [trial.params[path] for trial in known.trials]
    rng = generator(results.study.name, path, "importance")
    return importance(values, np.array(known.values), is_ordered(results, path), rng)


def _figure(ranked: dict[str, Importance]) -> Figure:
    drawing, axes = draw.panels(1, 1, 0.7 + 0.28 * len(ranked))
    panel = axes[0, 0]
    panel.grid(axis="x")
    rows = np.arange(len(ranked))
    above = [found.share > found.noise for found in ranked.values()]
    colours = [draw.GOOD if clear else draw.UNCLEAR for clear in above]
    panel.barh(rows, [100 * found.share for found in ranked.values()], height=0.6, color=colours, zorder=2)
    panel.plot(
        [100 * found.noise for found in ranked.values()],
        rows,
        "|",
        markersize=13,
        markeredgewidth=2,
        color=draw.INK,
        zorder=3,
    )
    panel.set_yticks(rows, list(ranked))
    panel.tick_params(axis="y", length=0)
    panel.invert_yaxis()
    panel.set_xlim(left=0)
    panel.set_xlabel("main-effect share of the variance (%)")
    return Figure(
        name="importance",
        caption=(
            "Share of the objective's variance that each parameter explains by itself (table below). Black mark: what "
            "95 % of random permutations stay below; a bar that does not pass it (grey) is not told from noise."
        ),
        alt="Bars of the main-effect share of the variance; the numbers are in the table below.",
        drawing=drawing,
    )


def _table(results: StudyResults, ranked: dict[str, Importance], idle: list[str], known: Judged) -> ReportTable:
    at = "at the end" if known.epoch is None else f"at epoch {known.epoch}, the last that all of them reached"
    conditional = any(domain.when for domain in results.search.space.values())
    under_a_condition = (
        "A parameter that is searched under a condition is judged over the settings that have it. "
        if conditional
        else ""
    )

    def row(path: str, *figures: str) -> Row:
        return Row.of(f"`{path}`", *figures, *([str(len(_having(known, path).trials))] if conditional else []))

    rows = [
        row(path, number(100 * one.share, 1), number(100 * one.noise, 1), number(one.trend, 2, sign=True))
        for path, one in ranked.items()
    ]
    return ReportTable(
        name="importance",
        caption=(
            f"Main effects over {len(known.trials)} settings, judged {at}. {under_a_condition}Share: bias-corrected "
            f"share of the variance between bins (ε²; up to {MOST_BINS} bins of equal numbers, at least "
            f"{LEAST_IN_A_BIN} settings each; each choice is a bin). Noise: its 95 % quantile under permutation. "
            "Trend: Spearman's rank correlation with the objective. Interactions are not counted, and a sampler that "
            "follows good settings explores the others less."
        ),
        columns=("parameter", "share (%)", "noise (%)", "trend", *(["settings"] if conditional else [])),
        align="lrrr" + "r" * conditional,
        rows=(*rows, *(row(path, NOTHING, NOTHING, NOTHING) for path in idle)),
        notes=(f"{NOTHING}: searched in fewer than {_LEAST} of the settings.",) if idle else (),
    )
