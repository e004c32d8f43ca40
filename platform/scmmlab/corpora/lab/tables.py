"""Tables beside recordings, CSV and TSV: rows of text by column, and when two texts are the same value."""

from __future__ import annotations

import csv
import math
import re
from pathlib import Path

from scmmlab.corpora.opening import open_below
from scmmlab.errors import CorpusError, nearest

LINE = ""
"""The key under which a row has its line in the file, for messages; no column can have it."""

_DECIMAL = re.compile(r"[-+]?[0-9]+(\.[0-9]*)?")


def read_rows(root: Path, file: str, columns: tuple[str, ...]) -> list[dict[str, str]]:
    """The rows of a table.

    Parameters
    ----------
    root : Path
        The corpus's folder.
    file : str
        The table, relative to it: values between tabs where its name ends in `.tsv`, else between commas, or between
        semicolons where the first line has no comma.
    columns : tuple of str
        Columns that there must be.

    Raises
    ------
    CorpusError
        If it cannot be read, or lacks a column.
    """
    path = open_below(root, file)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        found = error.strerror if isinstance(error, OSError) else "bytes that are no text in UTF-8"
        raise CorpusError(f"'{root / file}' cannot be read: expected a table, found {found}.") from error
    lines = text.splitlines()
    first = lines[0] if lines else ""
    delimiter = "\t" if file.lower().endswith(".tsv") else ";" if "," not in first and ";" in first else ","
    reader = csv.reader(lines, delimiter=delimiter)
    names = [name.strip() for name in next(reader, [])]
    for column in columns:
        if column not in names:
            guess = nearest(column, names)
            raise CorpusError(
                f"'{root / file}' has no column {column}: expected {', '.join(columns)}, found "
                f"{', '.join(names) or 'nothing'}.",
                f"did you mean '{guess}'?" if guess else "name the columns of the table in the layout.",
            )
    rows = []
    for values in reader:
        if not any(value.strip() for value in values):
            continue
        if len(values) != len(names):
            raise CorpusError(
                f"Line {reader.line_num} of '{root / file}' is not whole: expected {len(names)} values, found "
                f"{len(values)}."
            )
        row = {name: value.strip() for name, value in zip(names, values, strict=True)}
        rows.append({**row, LINE: str(reader.line_num)})
    return rows


def number_in(text: str) -> float:
    """The finite number that a text is, or NaN."""
    try:
        value = float(text)
    except ValueError:
        return math.nan
    return value if math.isfinite(value) else math.nan


def is_same(text: str, value: str | int | float) -> bool:
    """Whether two values are the same: as texts, or as numbers (`1`, `01` and `1.0`)."""
    one, other = text.strip(), str(value).strip()
    # names such as 1e2 or 1_1 are no numbers, though Python reads them as some
    are_numbers = _DECIMAL.fullmatch(one) and _DECIMAL.fullmatch(other)
    return one == other or (are_numbers is not None and float(one) == float(other))
