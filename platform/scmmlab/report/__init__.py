"""Reports: a list of small analyses, and their rendering to HTML, Markdown and LaTeX."""

from scmmlab.report.analyses import analyses_of
from scmmlab.report.analysis import Analysis, NotReady, compute_cards
from scmmlab.report.card import Bullets, Card, Figure, Notice, ReportTable, Row, TableCell, Text
from scmmlab.report.completeness import Completeness, completeness
from scmmlab.report.inputs import CellResult, StudyResults
from scmmlab.report.write import ReportPaths, write_report

__all__ = [
    "Analysis",
    "Bullets",
    "Card",
    "CellResult",
    "Completeness",
    "Figure",
    "NotReady",
    "Notice",
    "ReportPaths",
    "ReportTable",
    "Row",
    "StudyResults",
    "TableCell",
    "Text",
    "analyses_of",
    "completeness",
    "compute_cards",
    "write_report",
]
