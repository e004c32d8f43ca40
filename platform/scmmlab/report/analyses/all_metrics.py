"""Every figure of every variant, one table a transfer."""

from __future__ import annotations

from scmmlab.evaluation import METRICS, mean_and_sd
from scmmlab.report.analyses import markers
from scmmlab.report.analysis import Analysis, NotReady
from scmmlab.report.card import Card, ReportTable, Row
from scmmlab.report.inputs import StudyResults
from scmmlab.report.measures import MEASURES, NOTHING, chance_level, plural
from scmmlab.report.values import seed_means, subject_means, test_windows


class AllMetrics(Analysis):
    """All metrics side by side, and how much of a figure hangs on the seed."""

    slug = "all-metrics"
    title = "All metrics"

    def compute(self, results: StudyResults) -> Card:
        """One table a transfer."""
        tables = [table for transfer in results.ablation.transfers if (table := _table(results, transfer.name))]
        if not tables:
            raise NotReady("No cell is finished, so there are no figures yet.")
        return self.card(*tables)


def _table(results: StudyResults, transfer: str) -> ReportTable | None:
    study = results.ablation
    windows = test_windows(results, transfer)
    if windows is None:
        return None
    metric = study.statistics.metric
    rows = []
    for variant in study.variants:
        finished = results.finished(variant, transfer)
        if not finished:
            rows.append(Row.of(markers.variant_label(results, variant), *[NOTHING] * (len(METRICS) + 2)))
            continue
        figures = [
            MEASURES[name].mean_sd(*mean_and_sd(list(subject_means(finished, name).values()))) for name in METRICS
        ]
        spread = mean_and_sd(seed_means(finished, metric))[1]
        kind = markers.row_kind(results, variant)
        label = markers.variant_label(results, variant)
        rows.append(Row.of(label, *figures, MEASURES[metric].value(spread), str(len(finished)), kind=kind))
    chance = [MEASURES[name].value(chance_level(name, windows)) for name in METRICS]
    rows.append(Row.of("chance", *chance, "", "", kind="total"))
    return ReportTable(
        name=f"metrics-{transfer}",
        caption=(
            f"`{transfer}`: mean ± standard deviation over subjects, {plural(len(study.seeds), 'seed')} averaged "
            "within a subject first; % but for kappa. SD of seeds: standard deviation over seeds of the mean over "
            f"subjects, for {MEASURES[metric].label} ({MEASURES[metric].difference_unit}). Chance: 1 / classes, for "
            "accuracy the largest class's share, for macro F1 uniform guessing."
        ),
        columns=("variant", *(MEASURES[name].label for name in METRICS), "SD of seeds", "seeds"),
        align="l" + "r" * (len(METRICS) + 2),
        rows=tuple(rows),
        notes=markers.protocol_notes(results, study.variants),
        in_latex=True,
    )
