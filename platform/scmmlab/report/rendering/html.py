"""The report as one HTML file that needs nothing beside it: style and figures stand inside."""

from __future__ import annotations

import re

from markupsafe import Markup, escape

from scmmlab.report.card import Figure
from scmmlab.report.drawing import to_svg
from scmmlab.report.rendering.document import Document
from scmmlab.report.rendering.templates import load_template


def render_html(document: Document) -> str:
    """The whole file."""
    template = load_template("report.html.j2", {"rich": rich, "svg": svg}, autoescape=True)
    return template.render(document=document)


def rich(text: str) -> Markup:
    """Text as HTML, with what stands between backticks as code, which may break after an underscore or a dot."""
    parts = [
        Markup("<code>{}</code>").format(_breakable(part)) if position % 2 else escape(part)
        for position, part in enumerate(text.split("`"))
    ]
    return Markup("").join(parts)


def _breakable(code: str) -> Markup:
    return Markup(re.sub(r"([_.])(?=\w)", r"\1<wbr>", str(escape(code))))


def svg(figure: Figure) -> Markup:
    """The figure as an SVG element."""
    # the drawing is ours: matplotlib escapes the texts in it
    return Markup(to_svg(figure.drawing, figure.name))
