"""The tables for a paper: escaped, balanced, and with as many cells in a line as columns."""

from __future__ import annotations

import re

import pytest

from report.example_results import ablation_results
from scmmlab.report import compute_cards
from scmmlab.report.analyses import AllMetrics, Comparison, MainResults
from scmmlab.report.drawing import figure_style
from scmmlab.report.rendering import Document, render_latex
from scmmlab.report.rendering.latex import escape


@pytest.fixture(scope="module")
def latex() -> str:
    results = ablation_results()
    with figure_style():
        cards = compute_cards([MainResults(), Comparison(), AllMetrics()], results)
    return render_latex(Document.of(results, cards))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("`no_aggregator`", r"\texttt{no\_aggregator}"),
        (
            "50 % & more #1 $x$ {y} ~ ^ \\",
            r"50 \% \& more \#1 \$x\$ \{y\} \textasciitilde{} \textasciicircum{} \textbackslash{}",
        ),
        ("62.3 ± 8.1", r"62.3 $\pm$ 8.1"),
        ("−1.2", "$-$1.2"),
        ("p < 0.001", r"p \textless{} 0.001"),
    ],
)
def test_names_are_escaped(text: str, expected: str) -> None:
    assert escape(text) == expected


def test_every_line_of_a_table_has_as_many_cells_as_columns(latex: str) -> None:
    tables = re.findall(r"\\begin\{tabular\}\{([lr]+)\}(.*?)\\end\{tabular\}", latex, flags=re.DOTALL)
    assert len(tables) == 4
    for columns, body in tables:
        lines = [line for line in body.splitlines() if line.endswith(r"\\")]
        assert len(lines) > 3
        for line in lines:
            spans = sum(int(span) - 1 for span in re.findall(r"\\multicolumn\{(\d+)\}", line))
            assert len(re.findall(r"(?<!\\)&", line)) + 1 + spans == len(columns), line


def test_braces_and_environments_are_balanced_and_no_sign_is_left_bare(latex: str) -> None:
    depth = 0
    for brace in re.findall(r"(?<!\\)[{}]", latex):
        depth += 1 if brace == "{" else -1
        assert depth >= 0
    assert depth == 0
    assert latex.count(r"\begin{table}") == latex.count(r"\end{table}") == 4
    assert latex.count(r"\toprule") == latex.count(r"\bottomrule") == 4
    text = "\n".join(line for line in latex.splitlines() if not line.startswith("%"))
    assert text.isascii()
    # an underscore in a label is none in text
    assert not re.search(r"(?<!\\)[_#%]", re.sub(r"\\label\{[^}]*\}", "", text))
    assert text.count("$") % 2 == 0


def test_the_reference_is_set_apart_and_the_leak_is_said(latex: str) -> None:
    assert r"\textbf{\texttt{full} (reference)}" in latex
    assert "chooses by test labels" in latex
