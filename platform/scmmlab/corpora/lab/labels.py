"""Which class a trial has."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from scmmlab.corpora.lab.layout import ClassSpec, ColumnLabels, FieldLabels, LabelsSpec, ParticipantLabels
from scmmlab.corpora.lab.marks import Mark
from scmmlab.corpora.lab.recordings import LabRecording
from scmmlab.corpora.lab.tables import is_same, number_in, read_rows
from scmmlab.errors import CorpusError, nearest


@dataclass(frozen=True)
class Labels:
    """The classes of the marks of one recording.

    Parameters
    ----------
    classes : tuple of ClassSpec
        What stands for each class; a label is an index into them.
    column : str | None
        The column that has the value of a mark; None where its description is the value.
    fixed : str | None
        The value of all marks, where the recording has only one.
    """

    classes: tuple[ClassSpec, ...]
    column: str | None
    fixed: str | None

    @classmethod
    def of_recording(cls, labels: LabelsSpec, root: Path, recording: LabRecording) -> Labels:
        """As the layout says.

        Raises
        ------
        CorpusError
            If the recording has no value, where all its trials have one.
        """
        fixed = None
        if isinstance(labels, FieldLabels):
            fixed = recording.fields.get(labels.field)
            if fixed is None:
                raise CorpusError(
                    f"The name of '{root / recording.file}' has no {labels.field}: expected one of "
                    f"{', '.join(recording.fields)} in labels.field, found {labels.field}."
                )
        elif isinstance(labels, ParticipantLabels):
            fixed = _participant(labels, root, recording)
        return cls(labels.classes, labels.column if isinstance(labels, ColumnLabels) else None, fixed)

    def value(self, mark: Mark) -> str:
        """What the layout's classes are looked up by.

        Raises
        ------
        CorpusError
            If the mark's table has no such column.
        """
        if self.fixed is not None:
            return self.fixed
        if self.column is None:
            return mark.description
        if self.column not in mark.row:
            columns = [name for name in mark.row if name]
            guess = nearest(self.column, columns)
            raise CorpusError(
                f"The table of the trials has no column {self.column}: expected it for the labels, found "
                f"{', '.join(columns)}.",
                f"did you mean '{guess}'?" if guess else None,
            )
        return mark.row[self.column]

    def of(self, mark: Mark) -> int | None:
        """The label of a mark; None where its value stands for no class.

        Raises
        ------
        CorpusError
            If its value stands for two.
        """
        value = self.value(mark)
        found = [index for index, each in enumerate(self.classes) if _stands_for(value, each)]
        if len(found) > 1:
            names = " and ".join(self.classes[index].name for index in found)
            raise CorpusError(
                f"The value {value!r} stands for two classes: expected one, found {names}.",
                "the ranges and values of labels.classes must not overlap.",
            )
        return found[0] if found else None


def _stands_for(value: str, each: ClassSpec) -> bool:
    if each.values:
        return any(is_same(value, one) for one in each.values)
    number = number_in(value)
    # comparisons with NaN are false; a range without a lower bound must not take it in
    return (
        number == number
        and (each.at_least is None or number >= each.at_least)
        and (each.below is None or number < each.below)
    )


def _participant(labels: ParticipantLabels, root: Path, recording: LabRecording) -> str:
    rows = read_rows(root, labels.file, (labels.subject, labels.column))
    name = recording.fields["subject"].removeprefix("sub-")
    values = [row[labels.column] for row in rows if is_same(row[labels.subject].removeprefix("sub-"), name)]
    if len(values) != 1:
        raise CorpusError(
            f"'{root / labels.file}' does not say the class of '{recording.file}': expected one row with "
            f"{labels.subject} {name}, found {len(values)}."
        )
    return values[0]
