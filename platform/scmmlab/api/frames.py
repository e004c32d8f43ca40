"""Rows as pandas frames, whose columns have the types of what is in them."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any

import pandas as pd

from scmmlab.study import ResultRow

_TYPES: dict[frozenset[type], str] = {
    frozenset({bool}): "boolean",
    frozenset({int}): "Int64",
    frozenset({float}): "float64",
}
"""Types of a column's values, where there are some → its dtype, in which a value may be missing."""
_FIXED = {"seed": "int64", "tune_trial": "int64", "subject": "Int64", "epoch": "Int64", "value": "float64"}
"""Columns of results that have one type whatever is in them."""


def frame_of(
    rows: Sequence[Mapping[str, Any]], columns: Iterable[str] | None = None, types: Mapping[str, str] | None = None
) -> pd.DataFrame:
    """Rows as a frame.

    Parameters
    ----------
    rows : sequence of mapping
        All with the same keys.
    columns : iterable of str | None
        Their keys; those of the first row when None.
    types : mapping of str to str
        Column → dtype. A column that is not in it has that of its values.
    """
    names = list(rows[0] if columns is None else columns)
    return pd.DataFrame({name: _column([row[name] for row in rows], (types or {}).get(name)) for name in names})


def results_frame(rows: Sequence[ResultRow] | Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Rows of `result_rows` or `trial_rows` as a frame that is, as CSV, what `rows_csv` makes of them."""
    table = [asdict(row) if isinstance(row, ResultRow) else dict(row) for row in rows]
    for row in table:
        if "subjects" in row:
            row["subjects"] = " ".join(map(str, row["subjects"]))
    columns = list(table[0]) if table else [column.name for column in fields(ResultRow)]
    return frame_of(table, columns, _FIXED)


def preformatted(text: str) -> str:
    """Text of a terminal as HTML."""
    return f"<pre>{html.escape(text)}</pre>"


def _column(values: Sequence[Any], dtype: str | None) -> pd.Series:
    found = frozenset(type(value) for value in values if value is not None)
    if dtype is None and found == {str}:
        return pd.Series(list(values))  # what pandas has for text depends on its version
    dtype = dtype or _TYPES.get(found, "object")
    if dtype == "Int64" and found and None not in values:
        dtype = "int64"
    return pd.Series(list(values), dtype=dtype)
