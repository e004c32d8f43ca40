"""The look of figures, and their rendering to SVG and PNG, the same on every run; no pyplot, no global state kept."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure as Drawing

INK = "#1c2430"
MUTED = "#66707c"
REFERENCE = "#1c2430"
# Okabe and Ito's colours, which remain distinct to the colour-blind, without the yellow that vanishes on white
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8a6d3b")
STYLES = ("-", (0, (4, 1.5)), (0, (1, 1.2)))
GOOD, BAD, UNCLEAR = "#0072b2", "#d55e00", "#8a929c"
WIDTH = 7.2
"""Width of every figure in inches."""

_SETTINGS = {
    "font.family": "DejaVu Sans",
    "font.size": 8.5,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 8.5,
    "axes.labelcolor": INK,
    "axes.edgecolor": "#9aa3ad",
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": "#e8ebee",
    "grid.linewidth": 0.8,
    "text.color": INK,
    "xtick.color": "#525c67",
    "ytick.color": "#525c67",
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "xtick.major.size": 3,
    "ytick.major.size": 3,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "lines.linewidth": 1.5,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "figure.constrained_layout.h_pad": 0.06,
    "figure.constrained_layout.w_pad": 0.06,
    "svg.fonttype": "path",
    # ids in the SVG are hashes of content and this salt, and otherwise of chance
    "svg.hashsalt": "scmmlab",
}


@contextmanager
def figure_style() -> Iterator[None]:
    """The style of the report's figures, for drawing and for saving; matplotlib's own settings come back after."""
    with mpl.rc_context(_SETTINGS):
        yield


def panels(rows: int, columns: int, height: float, **options: Any) -> tuple[Any, Any]:
    """A figure of the report's width and an array of axes, shape=(rows, columns).

    Parameters
    ----------
    rows, columns : int
        Panels.
    height : float
        Height of the figure in inches.
    **options
        As for `matplotlib.figure.Figure.subplots`.
    """
    drawing = Drawing(figsize=(WIDTH, height), layout="constrained")
    return drawing, drawing.subplots(rows, columns, squeeze=False, **options)


def line_styles(names: Sequence[str], reference: str | None) -> dict[str, dict[str, Any]]:
    """Colour and dash of each name, the same in every figure; the reference is black and drawn on top."""
    styles: dict[str, dict[str, Any]] = {}
    others = [name for name in names if name != reference]
    for position, name in enumerate(others):
        lap, colour = divmod(position, len(COLOURS))
        styles[name] = {"color": COLOURS[colour], "linestyle": STYLES[lap % len(STYLES)], "zorder": 3}
    if reference is not None:
        styles[reference] = {"color": REFERENCE, "linestyle": "-", "linewidth": 2.0, "zorder": 5}
    return styles


def chance_line(axes: Any, level: float, label: str | None = "chance", vertical: bool = True) -> None:
    """A dashed line at the chance level, with its name beside it."""
    draw = axes.axvline if vertical else axes.axhline
    draw(level, color=MUTED, linewidth=1, linestyle=(0, (4, 3)), zorder=1)
    if label is not None and vertical:
        axes.annotate(
            label, (level, 1), xycoords=("data", "axes fraction"), xytext=(0, 2), textcoords="offset points",
            ha="center", va="bottom", fontsize=7.5, color=MUTED,
        )  # fmt: skip
    elif label is not None:
        axes.annotate(
            label, (1, level), xycoords=("axes fraction", "data"), xytext=(-2, 2), textcoords="offset points",
            ha="right", va="bottom", fontsize=7.5, color=MUTED,
            bbox={"facecolor": "white", "alpha": 0.75, "edgecolor": "none", "pad": 0.6}, zorder=6,
        )  # fmt: skip


def to_png(drawing: Any) -> bytes:
    """The figure as PNG, without the name and version of what drew it."""
    buffer = io.BytesIO()
    drawing.savefig(buffer, format="png", dpi=170, metadata={"Software": None})
    return buffer.getvalue()


def to_svg(drawing: Any, name: str) -> str:
    """The figure as an SVG element to stand in an HTML page.

    Ids get `name` in front, so that those of several figures in one page do not meet, and what only a file of its own
    needs (prologue, metadata with addresses of vocabularies) is left out.
    """
    buffer = io.StringIO()
    drawing.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    svg = buffer.getvalue()
    box = re.search(r'viewBox="([^"]*)"', svg)
    assert box is not None
    # the picture itself, after the prologue, the opening tag, the metadata and the style
    content = svg[svg.index("</style>") :].split("</defs>", maxsplit=1)[1]
    content = re.sub(r'\bid="', f'id="{name}-', content)
    content = re.sub(r'xlink:href="#', f'href="#{name}-', content)
    content = re.sub(r"url\(#", f"url(#{name}-", content)
    # without a size of its own it shrinks on a narrow screen; the view box keeps the proportions
    return f'<svg viewBox="{box[1]}" style="stroke-linejoin: round; stroke-linecap: butt">{content}'
