"""Writing a report: HTML, Markdown with its figures, and the LaTeX tables, in one folder."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from scmmlab.errors import StoreError
from scmmlab.report.analyses import analyses_of
from scmmlab.report.analysis import Analysis, compute_cards
from scmmlab.report.card import Card, Figure
from scmmlab.report.drawing import figure_style, to_png
from scmmlab.report.inputs import StudyResults
from scmmlab.report.rendering import Document, render_html, render_latex, render_markdown
from scmmlab.report.rendering.markdown import FIGURES


@dataclass(frozen=True)
class ReportPaths:
    """The files of a report."""

    html: Path
    """The report in one file."""
    markdown: Path
    """The same, with its figures beside it."""
    latex: Path
    """The tables for a paper."""
    figures: tuple[Path, ...]
    """The figures as PNG."""

    @property
    def all(self) -> tuple[Path, ...]:
        """Every file of the report."""
        return (self.html, self.markdown, self.latex, *self.figures)


def write_report(
    results: StudyResults, folder: str | os.PathLike[str], analyses: Sequence[Analysis] | None = None
) -> ReportPaths:
    """Compute the analyses of a study and write the report; equal results give equal files.

    Parameters
    ----------
    results : StudyResults
        The study as far as it got.
    folder : path
        Where to; made if it is not there. The files of an earlier report in it are replaced.
    analyses : sequence of Analysis | None
        The sections; those that fit the kind of study when None.

    Returns
    -------
    ReportPaths
        What was written.

    Raises
    ------
    StoreError
        If the folder cannot be written.
    """
    place = Path(folder)
    with figure_style():
        cards = compute_cards(analyses_of(results) if analyses is None else analyses, results)
        document = Document.of(results, cards)
        html = render_html(document)
        pictures = {f"{figure.name}.png": to_png(figure.drawing) for figure in _figures(cards)}
    paths = ReportPaths(
        place / "report.html",
        place / "report.md",
        place / "tables.tex",
        tuple(place / FIGURES / name for name in pictures),
    )
    contents = [*pictures.values(), render_latex(document).encode(), render_markdown(document).encode(), html.encode()]
    try:
        for stale in set((place / FIGURES).glob("*.png")) - set(paths.figures):
            stale.unlink()
        for path, data in zip((*paths.figures, paths.latex, paths.markdown, paths.html), contents, strict=True):
            _write(path, data)
    except OSError as error:
        raise StoreError(f"Cannot write the report to '{place}': {error.strerror or error}.") from error
    return paths


def _figures(cards: list[Card]) -> list[Figure]:
    return [block for card in cards for block in card.blocks if isinstance(block, Figure)]


def _write(path: Path, data: bytes) -> None:
    """Write under another name and rename, so that a reader never sees half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_bytes(data)
    temporary.replace(path)
