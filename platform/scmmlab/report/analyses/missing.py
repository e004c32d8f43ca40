"""What is missing, with the error of each cell that failed."""

from __future__ import annotations

from scmmlab.report.analyses import markers
from scmmlab.report.analysis import Analysis, NotReady
from scmmlab.report.card import Card, Notice, ReportTable, Row, TableCell
from scmmlab.report.completeness import completeness
from scmmlab.report.inputs import CellResult, StudyResults
from scmmlab.report.measures import plural
from scmmlab.tables.checks import number_ranges


class Missing(Analysis):
    """The cells (of a sweep: settings) that the study asks for and that are not there."""

    slug = "missing"
    title = "What is missing"

    def compute(self, results: StudyResults) -> Card:
        """A table of them, or a sentence that there are none."""
        found = completeness(results)
        if found.complete:
            raise NotReady(
                f"Nothing: all {plural(found.cells, 'setting' if results.study.kind == 'sweep' else 'cell')} are there."
            )
        return self.card(
            Notice(found.in_words()), _settings(results) if results.study.kind == "sweep" else _cells(results)
        )


def _cells(results: StudyResults) -> ReportTable:
    found = completeness(results)
    rows = [
        _row(results, _name(cell), TableCell("failed", "bad"), cell.error or "no error was recorded")
        for cell in found.failed
    ]
    for cell, subjects in found.untested:
        lacks = f"not tested: {plural(len(subjects), 'subject')} ({number_ranges(subjects)})"
        rows.append(_row(results, _name(cell), "folds missing", lacks))
    rows += [_row(results, name, "missing", "not run yet") for name in found.missing]
    variants = [cell.variant for cell in (*found.failed, *(cell for cell, _ in found.untested))]
    variants += [variant for variant, _, _ in found.missing]
    return ReportTable(
        name="missing",
        caption="Cells without which the study is not complete. Running it again runs what is missing and no more.",
        columns=("variant", "transfer", "seed", "state", "why"),
        align="llrll",
        rows=tuple(rows),
        notes=markers.protocol_notes(results, variants),
    )


def _name(cell: CellResult) -> tuple[str, str, int]:
    return cell.variant, cell.transfer, cell.seed


def _row(results: StudyResults, name: tuple[str, str, int], state: str | TableCell, why: str) -> Row:
    variant, transfer, seed = name
    label = markers.variant_label(results, variant, reference=False)
    return Row.of(label, f"`{transfer}`", str(seed), state, why)


def _settings(results: StudyResults) -> ReportTable | None:
    failed = [trial for trial in results.sweep if trial.state == "failed"]
    if not failed:
        return None
    return ReportTable(
        name="missing",
        caption="Settings that failed.",
        columns=("setting", "why"),
        align="rl",
        rows=tuple(Row.of(str(trial.number), trial.error or "no error was recorded") for trial in failed),
    )
