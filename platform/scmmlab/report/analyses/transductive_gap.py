"""What it adds to see the windows that are tested: the same cells by both protocols of domain adaptation."""

from __future__ import annotations

from scmmlab.report.analyses import markers
from scmmlab.report.analyses.gap_table import find_gaps, gap_rows
from scmmlab.report.card import Block, ReportTable, Text
from scmmlab.report.inputs import StudyResults
from scmmlab.report.leaks import LeakPair
from scmmlab.report.measures import MEASURES
from scmmlab.report.protocol_text import TRANSDUCTIVE_MARK


def transductive_gap(results: StudyResults, pairs: list[LeakPair]) -> list[Block]:
    """A sentence, and a table of the pairs from `leaks.transductive_pairs`; nothing where there are none."""
    if not pairs:
        return []
    measure = MEASURES[results.ablation.statistics.metric]
    gaps = find_gaps(results, measure, pairs)
    if not gaps:
        return [Text(f"No variant {TRANSDUCTIVE_MARK} shares a finished seed and a subject with its counterpart yet.")]
    level = f"{100 * (1 - results.ablation.statistics.alpha):.3g} %"
    table = ReportTable(
        name="transductive",
        caption=(
            f"{measure.label.capitalize()} ({measure.unit}) where the tested windows may be seen without their labels, "
            "and where only earlier windows of the same subjects may; mean over n subjects (seeds averaged within a "
            f"subject first), and what is added ({measure.difference_unit}) with its {level} bootstrap interval over "
            "subjects."
        ),
        columns=(
            "transductive",
            "inductive",
            "n",
            "by transductive",
            "by inductive",
            f"added ({measure.difference_unit})",
            f"{level} interval",
        ),
        align="llrrrrr",
        rows=gap_rows(results, measure, gaps),
        notes=markers.protocol_notes(
            results, [variant for pair in pairs for variant in (pair.released, pair.leak_free)]
        ),
    )
    return [
        Text(
            "Each variant below is trained under `uda_inductive` and under `uda_transductive` with all other settings "
            "equal, and tested on the same windows. No label leaks; but what is added belongs to the tested windows, "
            "which a model of a new recording has not seen. A method that does not use unlabelled windows has no gap."
        ),
        table,
    ]
