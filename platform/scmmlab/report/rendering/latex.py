"""The tables for a paper, as LaTeX with booktabs."""

from __future__ import annotations

import re

from scmmlab.report.card import ReportTable, Row
from scmmlab.report.rendering.document import Document

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': "''",
    "±": r"$\pm$",
    "−": r"$-$",
    "×": r"$\times$",
    "–": "--",
    "…": r"\ldots{}",
    "▲": r"$\blacktriangle$",
    "▼": r"$\blacktriangledown$",
    "†": r"$\dagger$",
    "‡": r"$\ddagger$",
    "§": r"\S{}",
    "¶": r"\P{}",
    "α": r"$\alpha$",
    "ε": r"$\varepsilon$",
    "²": r"$^2$",
    "●": r"$\bullet$",
}


def render_latex(document: Document) -> str:
    """All tables of the report that are made for a paper, one `table` environment each."""
    tables = [
        block for card in document.cards for block in card.blocks if isinstance(block, ReportTable) and block.in_latex
    ]
    head = [
        f"% Tables of the study '{document.title}'. In the preamble: \\usepackage{{booktabs,amssymb}}",
        *([f"% {' '.join(document.incomplete.split())}"] if document.incomplete else []),
    ]
    return "\n".join([*head, *(_table(table, document.incomplete) for table in tables)]) + "\n"


def escape(text: str) -> str:
    r"""Text with LaTeX's own characters and our signs replaced; what stands between backticks as `\texttt`."""
    parts = ["".join(_SPECIAL.get(sign, sign) for sign in part) for part in text.split("`")]
    return "".join(rf"\texttt{{{part}}}" if position % 2 else part for position, part in enumerate(parts))


def _table(table: ReportTable, incomplete: str | None) -> str:
    caption = escape(table.caption)
    if incomplete is not None:
        caption += rf" \textbf{{{escape(incomplete)}}}"
    lines = [
        "",
        r"\begin{table}",
        r"  \centering",
        rf"  \caption{{{caption}}}",
        rf"  \label{{tab:{re.sub(r'[^A-Za-z0-9:-]', '-', table.name)}}}",
        rf"  \begin{{tabular}}{{{table.align}}}",
        r"    \toprule",
        "    " + " & ".join(escape(column) for column in table.columns) + r" \\",
        r"    \midrule",
    ]
    previous: Row | None = None
    for row in table.rows:
        if previous is not None and (row.kind == "group" or (row.kind == "total" and previous.kind != "total")):
            lines.append(r"    \midrule")
        lines.append(f"    {_row(row, len(table.columns))}")
        previous = row
    lines += [r"    \bottomrule", r"  \end{tabular}"]
    if table.notes:
        notes = r" \\ ".join(escape(note) for note in table.notes)
        lines.append(rf"  \par\smallskip\parbox{{\linewidth}}{{\footnotesize {notes}}}")
    lines.append(r"\end{table}")
    return "\n".join(lines)


def _row(row: Row, columns: int) -> str:
    texts = [escape(f"{cell.text} {cell.mark}" if cell.mark else cell.text) for cell in row.cells]
    if row.kind == "group":
        return rf"\multicolumn{{{columns}}}{{l}}{{\emph{{{texts[0]}}}}} \\"
    if row.kind == "reference":
        texts = [rf"\textbf{{{text}}}" if position == 0 else text for position, text in enumerate(texts)]
    return " & ".join(texts) + r" \\"
