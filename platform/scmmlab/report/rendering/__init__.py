"""Cards as HTML, Markdown and LaTeX."""

from scmmlab.report.rendering.document import Document
from scmmlab.report.rendering.html import render_html
from scmmlab.report.rendering.latex import render_latex
from scmmlab.report.rendering.markdown import render_markdown

__all__ = ["Document", "render_html", "render_latex", "render_markdown"]
