"""Which class a trial has."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from scmmlab.corpora.lab.layout import ClassSpec, ColumnLabels, FieldLabels, LabelsSpec, ParticipantLabels
from scmmlab.corpora.lab.marks import Mark
from scmmlab.corpora.lab.recordings import LabRecording
from scmmlab.corpora.lab.tables import TextRow, is_missing, is_same, number_in, read_rows
from scmmlab.errors import CorpusError

_A_NUMBER = "a number, as the ranges of labels.classes ask for"


@dataclass(frozen=True)
class _Value:
    """What classes are looked up by: a text, where it stands, and why there may be none."""

    text: str
    where: str
    row: TextRow | None = None
    column: str = ""
    missing: str = ""
    of_name: bool = False

    def number(self) -> float:
        """The number that it is; NaN where it says that there is none."""
        if self.row is not None:
            return self.row.number(self.column, _A_NUMBER)
        number = number_in(self.text)
        # a mark's description may be anything, the field of a name is one of the values
        if self.of_name and math.isnan(number) and not is_missing(self.text):
            raise CorpusError(f"{self.where} is not a number: expected {_A_NUMBER}, found {self.text!r}.")
        return number


@dataclass(frozen=True)
class Labels:
    """The classes of the marks of one recording.

    Parameters
    ----------
    spec : LabelsSpec
        What stands for each class; a label is an index into them.
    fixed : _Value | None
        The value of all marks, where the recording has only one.
    path : Path
        The recording, for messages.
    """

    spec: LabelsSpec
    fixed: _Value | None
    path: Path

    @classmethod
    def of_recording(cls, labels: LabelsSpec, root: Path, recording: LabRecording) -> Labels:
        """As the layout says.

        Raises
        ------
        CorpusError
            If the table of the subjects has several rows for the recording's, or cannot be read.
        """
        path = root / recording.file
        fixed = None
        if isinstance(labels, FieldLabels):
            fixed = _of_name(labels.field, recording, path)
        elif isinstance(labels, ParticipantLabels):
            fixed = _participant(labels, root, recording)
        return cls(labels, fixed, path)

    def value(self, mark: Mark) -> str:
        """What the layout's classes are looked up by."""
        return self._value(mark).text

    def of(self, mark: Mark) -> int | None:
        """The label of a mark; None where its value stands for no class.

        Raises
        ------
        CorpusError
            If its value stands for two, is not a number where only ranges are left, or is not there at all.
        """
        value, classes = self._value(mark), self.spec.classes
        found = [index for index, each in enumerate(classes) if any(is_same(value.text, one) for one in each.values)]
        if not found:
            found = _in_ranges(classes, value)
        if len(found) > 1:
            names = " and ".join(classes[index].name for index in found)
            raise CorpusError(
                f"The value {value.text!r} stands for two classes: expected one, found {names}.",
                "the ranges and values of labels.classes must not overlap.",
            )
        return found[0] if found else None

    def why_not(self, mark: Mark) -> str:
        """Why a mark has no class, in a few words."""
        return self._value(mark).missing or "of no class"

    def refusal(self, mark: Mark) -> CorpusError:
        """The error that a mark's value stands for no class."""
        value = self._value(mark)
        return CorpusError(
            f"{value.where} stands for no class: expected {expected_values(self.spec.classes)}, found {value.text!r}.",
            "labels.others: leave_out leaves such trials out.",
        )

    def _value(self, mark: Mark) -> _Value:
        if self.fixed is not None:
            return self.fixed
        if not isinstance(self.spec, ColumnLabels):
            return _Value(mark.description, f"The mark at {mark.onset_s:.3f} s in '{self.path}'")
        assert isinstance(mark.row, TextRow), "labels of a column have rows"
        return _of_row(mark.row, self.spec.column)


def expected_values(classes: tuple[ClassSpec, ...]) -> str:
    """What stands for each class, for messages."""
    parts = []
    for each in classes:
        low = "" if each.at_least is None else f"from {each.at_least:g}"
        high = "" if each.below is None else f"below {each.below:g}"
        values = ", ".join(repr(str(value)) for value in each.values) or f"{low} {high}".strip()
        parts.append(f"{values} ({each.name})")
    return " or ".join(parts)


def _in_ranges(classes: tuple[ClassSpec, ...], value: _Value) -> list[int]:
    ranges = [index for index, each in enumerate(classes) if not each.values]
    number = value.number() if ranges else math.nan
    # comparisons with NaN are false; a range without a lower bound must not take it in
    return [index for index in ranges if number == number and _is_within(number, classes[index])]


def _is_within(number: float, each: ClassSpec) -> bool:
    return (each.at_least is None or number >= each.at_least) and (each.below is None or number < each.below)


def _of_name(field: str, recording: LabRecording, path: Path) -> _Value:
    text = recording.fields.get(field, "")
    return _Value(
        text, f"The {field} in the name of '{path}'", missing="" if text else f"no {field} in its name", of_name=True
    )


def _of_row(row: TextRow, column: str) -> _Value:
    return _Value(row.text(column), row.where(column), row, column)


def _participant(labels: ParticipantLabels, root: Path, recording: LabRecording) -> _Value:
    rows = read_rows(root, labels.file, (labels.subject, labels.column), labels.decimal)
    name = recording.fields["subject"].removeprefix("sub-")
    mine = [row for row in rows if is_same(row[labels.subject].removeprefix("sub-"), name)]
    if len(mine) > 1:
        raise CorpusError(
            f"'{root / labels.file}' does not say the class of '{recording.file}': expected one row with "
            f"{labels.subject} {name}, found {len(mine)}."
        )
    if not mine:
        missing = f"{labels.file} has no row for {labels.subject} {name}"
        return _Value("", f"The class of '{root / recording.file}', for which {missing},", missing=missing)
    return _of_row(mine[0], labels.column)
