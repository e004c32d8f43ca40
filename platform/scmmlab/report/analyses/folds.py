"""The folds: who was trained on, validated on and tested, in windows, and which epoch was judged."""

from __future__ import annotations

from scmmlab.report.analyses import markers
from scmmlab.report.analysis import Analysis, NotReady
from scmmlab.report.card import Card, ReportTable, Row
from scmmlab.report.inputs import CellResult, StudyResults
from scmmlab.report.measures import MEASURES, NOTHING


class Folds(Analysis):
    """One table a transfer and a split; variants with the same split share it."""

    slug = "folds"
    title = "Folds"

    def compute(self, results: StudyResults) -> Card:
        """The folds of the reference, and of each variant whose parts have other sizes."""
        tables = []
        for transfer in results.ablation.transfers:
            seen: dict[str, list[str]] = {}
            for variant in results.ablation.variants:
                finished = results.finished(variant, transfer.name)
                if finished:
                    seen.setdefault(_sizes(finished[0]), []).append(variant)
            tables += [
                _table(results, transfer.name, variants, position) for position, variants in enumerate(seen.values())
            ]
        if not tables:
            raise NotReady("No cell is finished, so its folds are not known yet.")
        return self.card(*tables)


def _sizes(cell: CellResult) -> str:
    assert cell.record is not None
    return repr([(fold["name"], fold["windows"]) for fold in cell.record["folds"]])


def _table(results: StudyResults, transfer: str, variants: list[str], position: int) -> ReportTable:
    measure = MEASURES[results.ablation.statistics.metric]
    reference = results.ablation.statistics.reference
    shown = reference if reference in variants else variants[0]
    cells = results.finished(shown, transfer)
    rows = []
    for fold in (cells[0].record or {})["folds"]:
        same = [other for cell in cells for other in (cell.record or {})["folds"] if other["name"] == fold["name"]]
        windows = fold["windows"]
        rows.append(
            Row.of(
                fold["name"],
                f"{windows['finetune']:,}",
                f"{windows['validation']:,}" if windows["validation"] else NOTHING,
                f"{windows['test']:,}",
                ", ".join(str(other["epoch"]) for other in same),
                _mean([(other["validation"] or {}).get(measure.name) for other in same], measure.name),
                _mean([other["test"].get(measure.name) for other in same], measure.name),
            )
        )
    who = (
        "all variants"
        if len(variants) == len(results.ablation.variants)
        else ", ".join(f"`{name}`" for name in variants)
    )
    return ReportTable(
        name=f"folds-{transfer}-{position}",
        caption=(
            f"`{transfer}`, {who}: windows of each part; and of `{shown}` the epoch judged (one number a seed) and "
            f"{measure.label} ({measure.unit}) on validation and test, over the fold's windows, mean over seeds."
        ),
        columns=("fold", "fine-tune", "validation", "test", "epoch judged", "validation figure", "test figure"),
        align="lrrrrrr",
        rows=tuple(rows),
        notes=markers.protocol_notes(results, variants),
    )


def _mean(values: list[float | None], metric: str) -> str:
    known = [value for value in values if value is not None]
    return MEASURES[metric].value(sum(known) / len(known)) if known else NOTHING
