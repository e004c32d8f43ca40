"""The report as Markdown, with figures in files beside it."""

from __future__ import annotations

import re

from scmmlab.report.card import ReportTable, Row
from scmmlab.report.rendering.document import Document
from scmmlab.report.rendering.templates import load_template

FIGURES = "figures"
"""Folder of the figures, beside the report."""


def render_markdown(document: Document) -> str:
    """The whole file."""
    template = load_template(
        "report.md.j2", {"rich": rich, "table": table}, autoescape=False, keep_trailing_newline=True
    )
    text = template.render(document=document, figures=FIGURES)
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def rich(text: str) -> str:
    """Text with Markdown's own characters escaped, but what stands between backticks left as code."""
    parts = " ".join(text.split()).split("`")
    return "`".join(part if position % 2 else _escaped(part) for position, part in enumerate(parts))


def table(table: ReportTable) -> str:
    """A table in GitHub's form; a row that groups others has its name in the first column, in bold."""
    marks = ["---:" if align == "r" else ":---" for align in table.align]
    lines = [_line([rich(column) for column in table.columns]), _line(marks)]
    lines += [_line(_cells(row, len(table.columns))) for row in table.rows]
    return "\n".join(lines)


def _cells(row: Row, columns: int) -> list[str]:
    texts = [rich(f"{cell.text} {cell.mark}" if cell.mark else cell.text) for cell in row.cells]
    if row.kind == "group":
        return [f"**{texts[0]}**", *[""] * (columns - 1)]
    if row.kind == "reference":
        return [f"**{texts[0]}**", *texts[1:]]
    if row.kind == "total":
        return [f"*{text}*" if text else "" for text in texts]
    return texts


def _line(cells: list[str]) -> str:
    # a bar ends a cell even inside code
    return "| " + " | ".join(re.sub(r"(?<!\\)\|", r"\\|", cell) for cell in cells) + " |"


def _escaped(text: str) -> str:
    # only where a sign would mean something: `p < 0.001`, `[−1, 1]` and no_aggregator stay readable
    text = re.sub(r"([\\*|]|<(?=[A-Za-z/!?])|(?<=\])\(|^[#>+-](?=\s))", r"\\\1", text)
    return re.sub(r"(?<!\w)_|_(?!\w)", r"\\_", text)
