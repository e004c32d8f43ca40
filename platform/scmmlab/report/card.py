"""A card: one section of a report, as text, tables and figures that know nothing of HTML, Markdown or LaTeX.

Text may hold names between backticks, which every rendering sets as code.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

Tone = Literal["", "good", "bad", "muted"]
RowKind = Literal["plain", "reference", "group", "total"]
Level = Literal["info", "warning", "error"]


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    text: str


@dataclass(frozen=True)
class Bullets:
    """A list of sentences."""

    items: tuple[str, ...]


@dataclass(frozen=True)
class Notice:
    """A paragraph that must not be overlooked."""

    text: str
    level: Level = "warning"


@dataclass(frozen=True)
class TableCell:
    """One entry of a table; `mark` stands behind the text, where it does not push numbers out of line."""

    text: str
    tone: Tone = ""
    mark: str = ""


@dataclass(frozen=True)
class Row:
    """A line of a table; one of kind `group` has a single cell, which spans the table."""

    cells: tuple[TableCell, ...]
    kind: RowKind = "plain"

    @classmethod
    def of(cls, *cells: str | TableCell, kind: RowKind = "plain") -> Row:
        """A row of texts and cells."""
        return cls(tuple(cell if isinstance(cell, TableCell) else TableCell(cell) for cell in cells), kind)


@dataclass(frozen=True)
class ReportTable:
    """A table with a caption above and notes below.

    Parameters
    ----------
    name : str
        File name and label, unique in a report.
    caption : str
        What is shown, in which unit, and how it was computed.
    columns : tuple of str
        Headings; an empty one is allowed.
    align : str
        `l` or `r` for each column.
    rows : tuple of Row
        The body.
    notes : tuple of str
        What the markers in the table mean.
    in_latex : bool
        Whether it is one for a paper.
    """

    name: str
    caption: str
    columns: tuple[str, ...]
    align: str
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()
    in_latex: bool = False

    @property
    def marked(self) -> tuple[bool, ...]:
        """Whether any cell of a column has a mark."""
        lines = [row.cells for row in self.rows if row.kind != "group"]
        return tuple(any(cells[column].mark for cells in lines) for column in range(len(self.columns)))

    def __post_init__(self) -> None:
        assert len(self.align) == len(self.columns)
        assert all(len(row.cells) == (1 if row.kind == "group" else len(self.columns)) for row in self.rows)


@dataclass(frozen=True, eq=False)
class Figure:
    """A figure with a caption below.

    Parameters
    ----------
    name : str
        File name and label, unique in a report.
    caption : str
        What is shown and how it was computed.
    alt : str
        What it says, for those who cannot see it.
    drawing : matplotlib.figure.Figure
        The picture.
    """

    name: str
    caption: str
    alt: str
    drawing: Any


Block = Text | Bullets | Notice | ReportTable | Figure


@dataclass(frozen=True)
class Card:
    """One section: what an analysis found, or why it found nothing."""

    slug: str
    title: str
    blocks: tuple[Block, ...] = field(default=())
    state: Literal["ready", "not_ready", "failed"] = "ready"
