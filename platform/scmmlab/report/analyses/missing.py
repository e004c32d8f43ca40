"""What is missing, with the error of each cell that failed."""

from __future__ import annotations

from scmmlab.report.analysis import Analysis, NotReady
from scmmlab.report.card import Card, Cell, Notice, Row, Table
from scmmlab.report.completeness import completeness
from scmmlab.report.inputs import StudyResults
from scmmlab.report.measures import plural


class Missing(Analysis):
    """The cells (of a sweep: settings) that the study asks for and that are not there."""

    slug = "missing"
    title = "What is missing"

    def compute(self, results: StudyResults) -> Card:
        """A table of them, or a sentence that there are none."""
        found = completeness(results)
        if found.complete:
            raise NotReady(f"Nothing: all {plural(found.cells, 'cell' if results.cells else 'setting')} are there.")
        return self.card(
            Notice(found.in_words()), _settings(results) if results.study.kind == "sweep" else _cells(results)
        )


def _cells(results: StudyResults) -> Table:
    found = completeness(results)
    rows = [
        Row.of(
            f"`{cell.variant}`",
            f"`{cell.transfer}`",
            str(cell.seed),
            Cell("failed", "bad"),
            cell.error or "no error was recorded",
        )
        for cell in found.failed
    ]
    rows += [
        Row.of(
            f"`{cell.variant}`", f"`{cell.transfer}`", str(cell.seed), "folds missing",
            f"not tested: {plural(len(subjects), 'subject')} ({', '.join(map(str, subjects))})",
        )
        for cell, subjects in found.untested
    ]  # fmt: skip
    rows += [
        Row.of(f"`{cell.variant}`", f"`{cell.transfer}`", str(cell.seed), "missing", "not run yet")
        for cell in found.missing
    ]
    return Table(
        name="missing",
        caption="Cells without which the study is not complete. Running it again runs what is missing and no more.",
        columns=("variant", "transfer", "seed", "state", "why"),
        align="llrll",
        rows=tuple(rows),
    )


def _settings(results: StudyResults) -> Table | None:
    failed = [trial for trial in results.sweep if trial.state == "failed"]
    if not failed:
        return None
    return Table(
        name="missing",
        caption="Settings that failed.",
        columns=("setting", "why"),
        align="rl",
        rows=tuple(Row.of(str(trial.number), trial.error or "no error was recorded") for trial in failed),
    )
