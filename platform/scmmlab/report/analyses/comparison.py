"""Paired comparison of every variant with the reference, as a table and a forest plot."""

from __future__ import annotations

from typing import Any

import numpy as np

from scmmlab.evaluation import PairedComparison, Verdict, smallest_p
from scmmlab.evaluation.statistics import paired_difference
from scmmlab.report import drawing as draw
from scmmlab.report.analyses import markers
from scmmlab.report.analysis import Analysis, NotReady
from scmmlab.report.card import Card, Figure, ReportTable, Row, TableCell, Text
from scmmlab.report.comparisons import Comparisons, compare
from scmmlab.report.inputs import StudyResults
from scmmlab.report.measures import MEASURES, Measure, listed, number, p_value, plural
from scmmlab.report.values import paired_subject_means

_COLOURS = {Verdict.BETTER: draw.GOOD, Verdict.WORSE: draw.BAD, Verdict.INCONCLUSIVE: draw.UNCLEAR}
_SHAPES = {Verdict.BETTER: "^", Verdict.WORSE: "v", Verdict.INCONCLUSIVE: "o"}


class Comparison(Analysis):
    """Wilcoxon signed-rank over subjects, Holm's correction, effect size, bootstrap interval, verdict."""

    slug = "comparison"
    title = "Comparison with the reference"

    def compute(self, results: StudyResults) -> Card:
        """How the comparisons are made, the table, and the forest plot."""
        comparisons = compare(results)
        if not comparisons.made:
            reference = results.ablation.statistics.reference
            raise NotReady(f"No variant shares a finished seed and a subject with the reference `{reference}` yet.")
        measure = MEASURES[results.ablation.statistics.metric]
        return self.card(
            Text(_method(results, comparisons)),
            _table(results, measure, comparisons),
            _forest(results, measure, comparisons),
        )


def _method(results: StudyResults, comparisons: Comparisons) -> str:
    statistics = results.ablation.statistics
    sentences = [
        f"Each variant is compared with `{statistics.reference}` on the same subjects and seeds, seeds averaged within "
        "a subject first. A verdict is `better` or `worse` only where the Wilcoxon signed-rank test over subjects, "
        f"corrected by Holm over all {plural(len(comparisons.made), 'comparison')} of the study, is below "
        f"{statistics.alpha:g} and the bootstrap interval and the effect size lie on that side of 0. `inconclusive` "
        "means that neither was shown; it does not mean that the variants are equal."
    ]
    subjects = sorted({found.subjects for found in comparisons.made.values()})
    least = p_value(smallest_p(subjects[-1], len(comparisons.made)))
    sentences.append(
        f"With {plural(subjects[-1], 'subject')} the least corrected p that can be reached at the first step is "
        f"{least}."
    )
    if comparisons.other_protocol:
        names = listed([f"`{name}`" for name in comparisons.other_protocol])
        sentences.append(f"Not compared, because judged by another protocol than the reference: {names}.")
    return " ".join(sentences)


def _table(results: StudyResults, measure: Measure, comparisons: Comparisons) -> ReportTable:
    study = results.ablation
    rows = []
    for transfer in study.transfers:
        made = {variant: found for (variant, where), found in comparisons.made.items() if where == transfer.name}
        if len(study.transfers) > 1 and made:
            rows.append(Row.of(f"`{transfer.name}`", kind="group"))
        rows += [_row(results, measure, variant, found) for variant, found in made.items()]
    level = f"{100 * (1 - study.statistics.alpha):.3g} %"
    return ReportTable(
        name="comparison",
        caption=(
            f"Difference in {measure.label} ({measure.difference_unit}) from `{study.statistics.reference}`: mean over "
            f"n subjects with its {level} bootstrap interval (BCa, {study.statistics.bootstrap_samples:,} resamples of "
            "subjects); r: matched-pairs rank-biserial correlation, from −1 (every subject loses) to 1 (every subject "
            "gains); p: two-sided Wilcoxon signed-rank test, and after Holm's correction."
        ),
        columns=(
            "variant",
            "n",
            f"difference ({measure.difference_unit})",
            f"{level} interval",
            "r",
            "p",
            "p (Holm)",
            "verdict",
        ),
        align="lrrrrrrl",
        rows=tuple(rows),
        notes=markers.protocol_notes(results, [variant for variant, _ in comparisons.made]),
        in_latex=True,
    )


def _row(results: StudyResults, measure: Measure, variant: str, found: PairedComparison) -> Row:
    return Row.of(
        markers.variant_label(results, variant),
        str(found.subjects),
        measure.difference(found.difference),
        measure.interval(found.low, found.high),
        number(found.effect, 2, sign=True),
        p_value(found.p),
        p_value(found.p_holm),
        TableCell(found.verdict.value, markers.TONES[found.verdict], markers.VERDICT_MARKS[found.verdict]),
    )


def _forest(results: StudyResults, measure: Measure, comparisons: Comparisons) -> Figure:
    study = results.ablation
    reference = study.statistics.reference
    variants = [name for name in study.variants if any(name == variant for variant, _ in comparisons.made)]
    drawing, axes = draw.panels(1, len(study.transfers), 0.85 + 0.3 * len(variants), sharex=True, sharey=True)
    for panel, transfer in zip(axes[0], study.transfers, strict=True):
        panel.set_title(transfer.name)
        panel.grid(axis="x")
        panel.axvline(0, color=draw.INK, linewidth=0.9, zorder=1)
        for row, variant in enumerate(variants):
            found = comparisons.made.get((variant, transfer.name))
            if found is not None:
                pair = paired_subject_means(
                    results.finished(reference, transfer.name), results.finished(variant, transfer.name), measure.name
                )
                _line(panel, row, found, paired_difference(*pair) * measure.scale, measure.scale)
        panel.set_xlabel(f"difference in {measure.label} ({measure.difference_unit})")
    axes[0, 0].set_ylim(len(variants) - 0.4, -0.6)
    axes[0, 0].set_yticks(range(len(variants)), [markers.plain_label(results, variant) for variant in variants])
    for panel in axes[0]:
        panel.tick_params(axis="y", length=0)
    return Figure(
        name="forest",
        caption=(
            f"Forest plot of the table above: mean difference in {measure.label} from `{reference}` and its interval; "
            "small dots are subjects. ▲ better (blue), ▼ worse (orange), ● inconclusive (grey). Right of 0 the variant "
            "is ahead of the reference."
        ),
        alt=f"Forest plot of differences in {measure.label} from {reference}; the numbers are in the table above.",
        drawing=drawing,
    )


def _line(panel: Any, row: int, found: PairedComparison, subjects: Any, scale: float) -> None:
    colour = _COLOURS[found.verdict]
    spread = 0.22 * (np.arange(len(subjects)) % 3 - 1)
    panel.plot(subjects, row + spread, "o", markersize=2.4, color=draw.MUTED, alpha=0.3, markeredgewidth=0, zorder=2)
    panel.plot([found.low * scale, found.high * scale], [row, row], color=colour, linewidth=2.2, zorder=3)
    panel.plot(found.difference * scale, row, _SHAPES[found.verdict], color=colour, markersize=6.5, zorder=4)
