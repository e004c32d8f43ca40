"""The main table, variant × transfer, and its picture."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scmmlab.config import PublishedFigure, Regime
from scmmlab.evaluation import Verdict, bootstrap_interval, mean_and_sd
from scmmlab.report import drawing as draw
from scmmlab.report.analyses import markers
from scmmlab.report.analysis import Analysis, NotReady
from scmmlab.report.card import Card, Figure, ReportTable, Row, TableCell
from scmmlab.report.comparisons import Comparisons, compare, generator
from scmmlab.report.inputs import StudyResults
from scmmlab.report.measures import CHANCE_IN_WORDS, MEASURES, NOTHING, Measure, chance_level, plural
from scmmlab.report.protocol_text import REGIMES_IN_WORDS
from scmmlab.report.values import subject_means, test_windows

PUBLISHED_NOTE = (
    "Published figures are copied from the papers named, which may have other data, splits and ways of choosing an "
    "epoch: nothing is tested against them."
)


class MainResults(Analysis):
    """The study's figure for each variant and transfer, over subjects."""

    slug = "main-results"
    title = "Main results"

    def compute(self, results: StudyResults) -> Card:
        """A table for each label regime, and a figure, of the metric that the study names."""
        if not any(cell.state == "finished" for cell in results.cells):
            raise NotReady("No cell is finished, so there are no figures yet.")
        measure = MEASURES[results.ablation.statistics.metric]
        return self.card(*_tables(results, measure, compare(results)), _figure(results, measure))


def _tables(results: StudyResults, measure: Measure, comparisons: Comparisons) -> Iterator[ReportTable]:
    """Figures of one regime cannot be ranked with those of another, and so do not stand in one table."""
    regimes = markers.variants_by_regime(results)
    for figures in results.ablation.published.values():
        for figure in figures:
            regimes.setdefault(figure.regime, [])
    for regime, variants in regimes.items():
        yield _table(results, measure, comparisons, variants, regime, alone=len(regimes) == 1)


def _table(
    results: StudyResults,
    measure: Measure,
    comparisons: Comparisons,
    variants: Sequence[str],
    regime: Regime,
    alone: bool,
) -> ReportTable:
    study = results.ablation
    reference = study.statistics.reference
    rows = [
        Row.of(
            markers.variant_label(results, variant),
            *(_entry(results, measure, comparisons, variant, transfer.name) for transfer in study.transfers),
            kind=markers.row_kind(results, variant),
        )
        for variant in variants
    ]
    chance = [_chance(results, measure, transfer.name) for transfer in study.transfers]
    rows.append(
        Row.of("chance", *(NOTHING if level is None else measure.value(level) for level in chance), kind="total")
    )

    published = _published(results, measure, regime)
    rows += published

    notes = []
    if published:
        notes.append(PUBLISHED_NOTE)
    if reference in variants:
        notes.append(
            f"▲ better, ▼ worse than `{reference}` in the paired comparison; unmarked: no difference was shown."
        )
    if any(markers.FEWER_SEEDS_MARK in cell.mark for row in rows for cell in row.cells):
        notes.append(f"{markers.FEWER_SEEDS_MARK} over fewer seeds than were asked for: the rest is missing.")
    return ReportTable(
        name="main" if alone else f"main-{regime}",
        caption=(
            ("" if alone else f"Label regime `{regime}`: {REGIMES_IN_WORDS[regime]}. ")
            + f"{measure.label.capitalize()} ({measure.unit}) on the test parts: mean ± standard deviation over the n "
            f"subjects, {plural(len(study.seeds), 'seed')} averaged within a subject first. "
            f"{CHANCE_IN_WORDS[measure.name]}"
        ),
        columns=(
            "variant",
            *(f"`{transfer.name}`, n = {_subjects(results, transfer.name)}" for transfer in study.transfers),
        ),
        align="l" + "r" * len(study.transfers),
        rows=tuple(rows),
        notes=(*notes, *markers.protocol_notes(results, variants)),
        in_latex=True,
    )


def _published(results: StudyResults, measure: Measure, regime: Regime) -> list[Row]:
    """What papers report of this regime, set apart: a heading, and a row for each method and figure of its kind."""
    transfers = [transfer.name for transfer in results.ablation.transfers]
    rows = []
    for method, figures in results.ablation.published.items():
        own = [figure for figure in figures if figure.regime == regime]
        for metric in dict.fromkeys(figure.metric for figure in own):
            kind, label = MEASURES[metric], f"`{method}`" + ("" if metric == measure.name else f", {metric}")
            said = {figure.transfer: figure for figure in own if figure.metric == metric}
            entries = [_published_entry(kind, said.get(transfer)) for transfer in transfers]
            sources = ", ".join(dict.fromkeys(figure.source for figure in said.values()))
            rows.append(Row.of(f"{label} ({sources})", *entries))
    return [Row.of("published, not run here", kind="group"), *rows] if rows else []


def _published_entry(measure: Measure, figure: PublishedFigure | None) -> TableCell:
    if figure is None:
        return TableCell(NOTHING, "muted")
    sd = math.nan if figure.sd is None else figure.sd
    return TableCell(measure.mean_sd(figure.value / measure.scale, sd / measure.scale), "muted")


def _entry(results: StudyResults, measure: Measure, comparisons: Comparisons, variant: str, transfer: str) -> TableCell:
    """`62.3 ± 8.1 ▼`, or a dash where no cell is finished."""
    finished = results.finished(variant, transfer)
    values = list(subject_means(finished, measure.name).values())
    if not values:
        return TableCell(NOTHING, "muted")
    made = comparisons.made.get((variant, transfer))
    mark = markers.VERDICT_MARKS[made.verdict if made else Verdict.INCONCLUSIVE]
    if len(finished) < len(results.ablation.seeds):
        mark += markers.FEWER_SEEDS_MARK
    return TableCell(measure.mean_sd(*mean_and_sd(values)), mark=mark)


def _chance(results: StudyResults, measure: Measure, transfer: str) -> float | None:
    windows = test_windows(results, transfer)
    return None if windows is None else chance_level(measure.name, windows)


def _subjects(results: StudyResults, transfer: str) -> int:
    """Subjects of which any variant has a figure."""
    metric = results.ablation.statistics.metric
    values = [subject_means(results.finished(variant, transfer), metric) for variant in results.ablation.variants]
    return len({subject for own in values for subject in own})


def _figure(results: StudyResults, measure: Measure) -> Figure:
    study = results.ablation
    variants = list(study.variants)
    height = 0.75 + 0.3 * len(variants)
    drawing, axes = draw.panels(1, len(study.transfers), height, sharey=True)
    for panel, transfer in zip(axes[0], study.transfers, strict=True):
        panel.set_title(transfer.name, pad=14)
        panel.grid(axis="x")
        chance = _chance(results, measure, transfer.name)
        if chance is not None:
            draw.chance_line(panel, chance * measure.scale)
        for row, variant in enumerate(variants):
            values = np.array(list(subject_means(results.finished(variant, transfer.name), measure.name).values()))
            if values.size:
                colour = draw.REFERENCE if variant == study.statistics.reference else draw.COLOURS[0]
                _dots(panel, row, values * measure.scale, colour, hollow=markers.is_released(results, variant))
                rng = generator(study.name, measure.name, variant, transfer.name, "mean")
                statistics = study.statistics
                ends = bootstrap_interval(values, statistics.alpha, statistics.bootstrap_samples, rng)
                panel.plot(np.array(ends) * measure.scale, [row, row], color=colour, linewidth=2, zorder=3)
        panel.set_xlabel(f"{measure.label} ({measure.unit})")
        panel.set_ylim(len(variants) - 0.4, -0.6)
    axes[0, 0].set_yticks(range(len(variants)), [markers.plain_label(results, variant) for variant in variants])
    for panel in axes[0]:
        panel.tick_params(axis="y", length=0)
    return Figure(
        name="main",
        caption=(
            f"{measure.label.capitalize()} of each variant. Small dots: subjects, seeds averaged. Large dot and bar: "
            f"mean over subjects and its {100 * (1 - study.statistics.alpha):.3g} % bootstrap interval (BCa, "
            f"{study.statistics.bootstrap_samples:,} resamples of subjects). Dashed: chance. Intervals of two variants "
            "may overlap although the variants differ, since the same subjects stand in both: differences are judged "
            "by the paired comparison alone."
        ),
        alt=f"Dot plot of {measure.label} by variant and transfer; the numbers are in the table above.",
        drawing=drawing,
    )


def _dots(panel: Any, row: int, values: NDArray[np.float64], colour: str, hollow: bool) -> None:
    """One line of the figure: subjects, spread in height so that equal ones remain visible, and their mean."""
    spread = 0.22 * (np.arange(values.size) % 3 - 1)
    panel.plot(values, row + spread, "o", markersize=2.6, color=colour, alpha=0.3, markeredgewidth=0, zorder=2)
    face = "white" if hollow else colour
    panel.plot(values.mean(), row, "o", markersize=6, markerfacecolor=face, markeredgecolor=colour, zorder=4)
