"""Tables beside recordings, CSV and TSV: rows of text by column, numbers, and when two texts are the same."""

from __future__ import annotations

import codecs
import csv
import io
import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from scmmlab.corpora.opening import open_below
from scmmlab.errors import CorpusError, nearest

LINE = ""
"""The key under which a row has its line in the file, for messages; no column can have it."""
NOT_STATED = ("", "n/a", "na", "nan")
"""What stands, in small or capital letters, where there is no value."""

_DECIMAL = re.compile(r"[-+]?[0-9]+(\.[0-9]*)?")
_WITH_COMMA = re.compile(r"[-+]?[0-9]+(,[0-9]+)?")
_GROUPED = re.compile(r"[-+]?[0-9]{1,3},[0-9]{3}")
"""A number with a comma that may as well be one with its thousands marked."""
_DELIMITERS = {"\t": "tabs", ",": "commas", ";": "semicolons"}
_UNREADABLE = "\N{REPLACEMENT CHARACTER}"


@dataclass(frozen=True)
class TextTable:
    """A table's place and columns, with all of its rows.

    Parameters
    ----------
    path : Path
        Where it lies, for messages.
    decimal : {".", ","} or None
        What stands before the decimals of its numbers; None where each column tells.
    rows : list of TextRow
        All of them, in the order of the file.
    """

    path: Path
    decimal: str | None
    rows: list[TextRow] = field(default_factory=list)
    _decimals: dict[str, str] = field(default_factory=dict)

    def decimal_of(self, column: str) -> str:
        """What stands before the decimals of the numbers in a column: a comma where nothing else fits all of it.

        Raises
        ------
        CorpusError
            If the commas may as well mark thousands.
        """
        if self.decimal is not None:
            return self.decimal
        if column not in self._decimals:
            commas = [text for row in self.rows if "," in (text := row[column])]
            fits = commas and not any(_keeps_point(row[column]) for row in self.rows)
            if fits and all(_GROUPED.fullmatch(text) for text in commas):
                raise CorpusError(
                    f"The column {column} of '{self.path}' can be read in two ways: expected numbers such as 3.5, "
                    f"found {commas[0]!r}, with its decimals or its thousands after the comma.",
                    "decimal: ',' in the layout, beside the table's 'file', says that they are decimals; in BIDS write "
                    "them with a point.",
                )
            self._decimals[column] = "," if fits else "."
        return self._decimals[column]


class TextRow(dict[str, str]):
    """The values of a row by column, and its line under `LINE`."""

    def __init__(self, values: dict[str, str], table: TextTable):
        super().__init__(values)
        self.table = table

    def text(self, column: str) -> str:
        """A value.

        Raises
        ------
        CorpusError
            If the table has no such column, or the value has bytes that are no text.
        """
        if column not in self:
            raise _no_column(self.table.path, column, [name for name in self if name != LINE])
        value = self[column]
        if _UNREADABLE in value:
            raise CorpusError(
                f"{self.where(column)} cannot be read: expected text in UTF-8, found {value!r}.",
                "save the table in UTF-8; in a spreadsheet, as 'CSV UTF-8'.",
            )
        return value

    def number(self, column: str, what: str = "a number") -> float:
        """The finite number that a value is; NaN where there is none.

        Raises
        ------
        CorpusError
            If it is not a number; `what` says what was expected.
        """
        text = self.text(column)
        if is_missing(text):
            return math.nan
        plain = text
        if self.table.decimal_of(column) == ",":
            # a point may mark thousands there
            plain = text.replace(",", ".") if _WITH_COMMA.fullmatch(text) else ""
        value = number_in(plain)
        if math.isnan(value):
            raise CorpusError(
                f"{column} is not a number in line {self[LINE]} of '{self.table.path}': expected {what}, "
                f"found {text!r}.",
                self._hint(column),
            )
        return value

    def _hint(self, column: str) -> str:
        """What to do about a value that is not a number."""
        if _WITH_COMMA.fullmatch(self[column]) and self.table.decimal is None:
            other = next(row for row in self.table.rows if _keeps_point(row[column]))
            return (
                f"a column whose numbers all have commas is read as well, but line {other[LINE]} has {other[column]!r}."
            )
        return "numbers are written as in 3.5; where there is none, leave the value empty or write n/a."

    def where(self, column: str) -> str:
        """The place of a value, for messages."""
        return f"The column {column} in line {self[LINE]} of '{self.table.path}'"


def read_rows(root: Path, file: str, columns: Sequence[str], decimal: str | None = None) -> list[TextRow]:
    """The rows of a table.

    Parameters
    ----------
    root : Path
        The corpus's folder.
    file : str
        The table, relative to it: values between tabs, commas or semicolons, whichever gives it the columns; where
        several do, tabs in `.tsv` and commas elsewhere.
    columns : sequence of str
        Columns that there must be.
    decimal : {".", ","} or None
        What stands before the decimals of its numbers; None where each column tells.

    Raises
    ------
    CorpusError
        If it cannot be read, lacks a column, or has one twice.
    """
    path = root / file
    text = _read_text(open_below(root, file), path)
    delimiter = _delimiter(text, file, columns)
    # quoted values may have ends of lines in them
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    table = TextTable(path, decimal)
    try:
        names = [name.strip() for name in next(reader, [])]
        _check_header(path, names, columns)
        for values in reader:
            if not any(value.strip() for value in values):
                continue
            if len(values) != len(names):
                raise CorpusError(
                    f"Line {reader.line_num} of '{path}' is not whole: expected {len(names)} values, found "
                    f"{len(values)}.",
                    f"values stand between {_DELIMITERS[delimiter]} there, as the columns' names do; one that has some "
                    "in itself is put in quotes.",
                )
            row = {name: value.strip() for name, value in zip(names, values, strict=True) if name}
            table.rows.append(TextRow({**row, LINE: str(reader.line_num)}, table))
    except csv.Error as error:
        raise CorpusError(
            f"Line {reader.line_num} of '{path}' cannot be read: expected values between {_DELIMITERS[delimiter]}, "
            f"found {error}."
        ) from error
    for row in table.rows:
        for column in columns:
            row.text(column)
    return table.rows


def _keeps_point(text: str) -> bool:
    """Whether a value is none of a column of numbers with commas."""
    return not is_missing(text) and not _WITH_COMMA.fullmatch(text)


def is_missing(text: str) -> bool:
    """Whether a value says that there is none."""
    return text.strip().lower() in NOT_STATED


def number_in(text: str) -> float:
    """The finite number that a text is, or NaN."""
    try:
        # Python reads 1_1 as 11
        value = math.nan if "_" in text else float(text)
    except ValueError:
        return math.nan
    return value if math.isfinite(value) else math.nan


def is_same(text: str, value: str | int | float) -> bool:
    """Whether two values are the same: as texts, or as numbers (`1`, `01` and `1.0`)."""
    one, other = text.strip(), str(value).strip()
    # names such as 1e2 or 1_1 are no numbers, though Python reads them as some
    are_numbers = _DECIMAL.fullmatch(one) and _DECIMAL.fullmatch(other)
    return one == other or (are_numbers is not None and float(one) == float(other))


def _read_text(resolved: Path, path: Path) -> str:
    """The text of a file in UTF-8, or in UTF-16 that says so; bytes that are none of it are marked."""
    try:
        content = resolved.read_bytes()
    except OSError as error:
        raise CorpusError(f"'{path}' cannot be read: expected a table, found {error.strerror}.") from error
    coding = "utf-16" if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
    text = content.decode(coding, errors="replace")
    if "\0" in text:
        raise CorpusError(
            f"'{path}' cannot be read: expected a table as text in UTF-8, found zero bytes.",
            "save the table as text; in a spreadsheet, as 'CSV UTF-8'.",
        )
    return text


def _delimiter(text: str, file: str, columns: Sequence[str]) -> str:
    """What stands between the values: the delimiter under which the first line has most of the columns."""
    first = next(iter(text.splitlines()), "")
    usual = "\t" if file.lower().endswith(".tsv") else ","

    def fits(delimiter: str) -> tuple[int, bool, int]:
        names = [name.strip() for name in next(csv.reader([first], delimiter=delimiter), [])]
        return sum(column in names for column in columns), delimiter == usual and len(names) > 1, len(names)

    return max(_DELIMITERS, key=fits)


def _check_header(path: Path, names: list[str], columns: Sequence[str]) -> None:
    for column in columns:
        if column not in names:
            raise _no_column(path, column, names)
    twice = [name for name, count in Counter(names).items() if count > 1 and name]
    if twice:
        raise CorpusError(
            f"The column {twice[0]} stands in '{path}' more than once: expected each column once, found "
            f"{', '.join(names)}.",
            "rename one of the two, or take it out.",
        )


def _no_column(path: Path, column: str, names: Sequence[str]) -> CorpusError:
    guess = nearest(column, names)
    return CorpusError(
        f"'{path}' has no column {column}: expected it, found {', '.join(names) or 'nothing'}.",
        f"did you mean '{guess}'?" if guess else "the first line of a table has the names of its columns.",
    )
