"""The report in Markdown, against a file that one can read.

To renew it after a change that is meant, run this file with RENEW_GOLDEN=1 in the environment, and read the diff.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from report.example_results import ablation, ablation_results
from scmmlab.report import compute_cards
from scmmlab.report.analyses import Comparison, InShort, LeakPage, MainResults, Missing
from scmmlab.report.card import ReportTable, Row
from scmmlab.report.drawing import figure_style
from scmmlab.report.rendering import Document, render_markdown
from scmmlab.report.rendering.markdown import rich, table

GOLDEN = Path(__file__).with_name("golden_report.md")


def test_the_report_in_markdown_is_the_golden_one() -> None:
    study = ablation(("eegmat",), ("full", "hard_weights", "no_pretraining", "released"))
    analyses = [InShort(), MainResults(), Comparison(), LeakPage(), Missing()]
    results = ablation_results(study)
    with figure_style():
        text = render_markdown(Document.of(results, compute_cards(analyses, results)))
    if os.environ.get("RENEW_GOLDEN"):
        GOLDEN.write_text(text)
    assert text == GOLDEN.read_text()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("no_aggregator *a* <b> p < 0.001", r"no_aggregator \*a\* \<b> p < 0.001"),
        ("[−1, 1] [text](address)", r"[−1, 1] [text]\(address)"),
        ("# heading", r"\# heading"),
        ("_emphasis_", r"\_emphasis\_"),
        ("`a_*b*`, c*", r"`a_*b*`, c\*"),
        ("two\nlines", "two lines"),
    ],
)
def test_markdown_of_the_user_is_escaped(text: str, expected: str) -> None:
    assert rich(text) == expected


def test_a_bar_does_not_end_a_cell() -> None:
    found = table(ReportTable("t", "", ("a", "b"), "lr", (Row.of("x | y", "`p|q`"),)))
    assert found.splitlines()[-1] == r"| x \| y | `p\|q` |"
