"""The report's first tables as plain text, for a terminal."""

from __future__ import annotations

from scmmlab.report.analyses.best_setting import BestSetting
from scmmlab.report.analyses.main_results import MainResults
from scmmlab.report.analysis import NotReady
from scmmlab.report.card import ReportTable, Row, TableCell
from scmmlab.report.inputs import StudyResults


def summary_table(results: StudyResults) -> str:
    """The main results of an ablation, or the best setting of a sweep; a sentence where there are none yet."""
    analysis = MainResults() if results.study.kind == "ablation" else BestSetting()
    try:
        card = analysis.compute(results)
    except NotReady as reason:
        return str(reason)
    tables = [block for block in card.blocks if isinstance(block, ReportTable)]
    # a sweep's other tables are for the report
    return "\n\n".join(plain_table(table) for table in (tables if results.study.kind == "ablation" else tables[:1]))


def plain_table(table: ReportTable) -> str:
    """A table in columns of even width, with its caption above and its notes below."""
    heading = Row.of(*table.columns)
    rows = [[_entry(cell) for cell in row.cells] for row in (heading, *table.rows)]
    spans = [row.kind == "group" for row in (heading, *table.rows)]
    whole = [row for row, group in zip(rows, spans, strict=True) if not group]
    widths = [max(map(len, column)) for column in zip(*whole, strict=True)]
    lines = [
        f"{row[0]}:"
        if group
        else "  ".join(
            text.ljust(width) if align == "l" else text.rjust(width)
            for text, width, align in zip(row, widths, table.align, strict=True)
        ).rstrip()
        for row, group in zip(rows, spans, strict=True)
    ]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join([_plain(table.caption), "", *lines, "", *map(_plain, table.notes)])


def _entry(cell: TableCell) -> str:
    # marks take a place of their own, so that numbers stay in line
    return _plain(cell.text) + (f" {cell.mark}" if cell.mark else "")


def _plain(text: str) -> str:
    return text.replace("`", "").replace("\u2007", " ")
