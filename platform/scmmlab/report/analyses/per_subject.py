"""The figures of each subject, so that nothing hides behind a mean."""

from __future__ import annotations

import numpy as np

from scmmlab.evaluation import mean_and_sd
from scmmlab.report.analyses import markers
from scmmlab.report.analysis import Analysis, NotReady
from scmmlab.report.card import Card, ReportTable, Row, TableCell
from scmmlab.report.inputs import StudyResults
from scmmlab.report.measures import MEASURES, NOTHING, Measure, chance_level, plural
from scmmlab.report.values import subject_means, test_windows


class PerSubject(Analysis):
    """Subjects × variants, one table a transfer."""

    slug = "per-subject"
    title = "Subjects"

    def compute(self, results: StudyResults) -> Card:
        """The tables of the transfers that have a finished cell."""
        measure = MEASURES[results.ablation.statistics.metric]
        tables = [
            table for transfer in results.ablation.transfers if (table := _table(results, measure, transfer.name))
        ]
        if not tables:
            raise NotReady("No cell is finished, so there are no figures of subjects yet.")
        return self.card(*tables)


def _table(results: StudyResults, measure: Measure, transfer: str) -> ReportTable | None:
    study = results.ablation
    values = {
        variant: own
        for variant in study.variants
        if (own := subject_means(results.finished(variant, transfer), measure.name))
    }
    windows = test_windows(results, transfer)
    if not values or windows is None:
        return None
    chance = chance_level(measure.name, windows)
    subjects = sorted({subject for own in values.values() for subject in own})
    rows = [
        Row.of(str(subject), *(_entry(measure, own.get(subject), chance) for own in values.values()))
        for subject in subjects
    ]
    figures = [mean_and_sd(list(own.values())) for own in values.values()]
    above = [int(np.sum(np.array(list(own.values())) > chance)) for own in values.values()]
    rows += [
        Row.of("mean", *(measure.value(mean) for mean, _ in figures), kind="total"),
        Row.of("SD", *(measure.value(sd) for _, sd in figures), kind="total"),
        Row.of(
            "above chance",
            *(f"{count}/{len(own)}" for count, own in zip(above, values.values(), strict=True)),
            kind="total",
        ),
    ]
    return ReportTable(
        name=f"subjects-{transfer}",
        caption=(
            f"`{transfer}`: {measure.label} ({measure.unit}) of each subject, mean over the "
            f"{plural(len(study.seeds), 'seed')}. Grey: not above chance ({measure.value(chance)})."
        ),
        columns=("subject", *(markers.variant_label(results, variant, reference=False) for variant in values)),
        align="l" + "r" * len(values),
        rows=tuple(rows),
        notes=markers.protocol_notes(results, values),
    )


def _entry(measure: Measure, value: float | None, chance: float) -> TableCell:
    if value is None:
        return TableCell(NOTHING, "muted")
    return TableCell(measure.value(value), "" if value > chance else "muted")
