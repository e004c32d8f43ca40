"""Where a recording, or a table beside it, says that something began."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np

from scmmlab.corpora.lab.bids import find_sidecar
from scmmlab.corpora.lab.codes import read_codes
from scmmlab.corpora.lab.layout import FIELD, EventTrials, FileTrials, StatusTrials, TableTrials, TrialsSpec
from scmmlab.corpora.lab.recordings import LabRecording
from scmmlab.corpora.lab.tables import TextRow, is_same, number_in, read_rows
from scmmlab.errors import CorpusError

if TYPE_CHECKING:
    from scmmlab.corpora.lab.timing import Timing


class NoRowError(CorpusError):
    """A table that says nothing of a recording.

    Parameters
    ----------
    message : str
        As of every error.
    why : str
        The same in a few words.
    """

    def __init__(self, message: str, why: str):
        super().__init__(message, "trials.match of the layout says which rows are whose.")
        self.why = why

    def __reduce__(self) -> tuple[type[NoRowError], tuple[str, str]]:
        return type(self), (self.message, self.why)


@dataclass(frozen=True)
class Mark:
    """Something that began in a recording.

    Parameters
    ----------
    onset_s : float
        In s from the recording's first sample; NaN where its row of a table states none.
    duration_s : float
        In s; NaN where nothing states it.
    description : str
        What began.
    row : dict of str to str
        Its row of a table, where it comes from one.
    """

    onset_s: float
    duration_s: float = math.nan
    description: str = ""
    row: dict[str, str] = field(default_factory=dict)

    @property
    def end_s(self) -> float:
        """Where it is over; its onset where nothing states that."""
        return self.onset_s + (0.0 if math.isnan(self.duration_s) else self.duration_s)

    @property
    def is_placed(self) -> bool:
        """Whether anything says when it was."""
        return not math.isnan(self.onset_s)


def read_marks(trials: TrialsSpec, root: Path, recording: LabRecording, raw: Any, timing: Timing) -> list[Mark]:
    """The marks of a recording, in time order, those outside of its data as well, and those without an onset last.

    Raises
    ------
    CorpusError
        If the channel or the table that has them is not what the layout says.
    """
    if isinstance(trials, FileTrials):
        return [Mark(0.0, timing.stop / timing.rate)]
    if isinstance(trials, StatusTrials):
        marks = _codes(trials, raw, timing, root / recording.file)
    elif isinstance(trials, EventTrials):
        file = events_file(root, recording)
        if file is None:
            raise CorpusError(f"'{root / recording.file}' has no events: expected an events.tsv beside it, found none.")
        duration = _duration(trials, "duration")
        columns = ("onset", *([duration] if duration else []), trials.column)
        marks = _of_rows(read_rows(root, file, columns), "onset", duration, trials.column)
    elif isinstance(trials, TableTrials):
        marks = _of_table(trials, root, recording)
    else:
        marks = iter(timing.annotations)
    return sorted(marks, key=lambda mark: (math.isnan(mark.onset_s), mark.onset_s))


def events_file(root: Path, recording: LabRecording) -> str | None:
    """The `events.tsv` of a recording in a BIDS folder, relative to it."""
    return find_sidecar(root, recording.file, "events", ".tsv")


def table_file(trials: TableTrials, root: Path, recording: LabRecording) -> str:
    """The table of a recording, relative to the root.

    Raises
    ------
    CorpusError
        If the recording's name lacks a field that the table's has.
    """
    for name in FIELD.findall(trials.file):
        if name not in recording.fields:
            raise CorpusError(
                f"The name of '{root / recording.file}' has no {name}: expected it for the table '{trials.file}', "
                f"found {', '.join(recording.fields)}."
            )
    return trials.file.format(**recording.fields)


def _codes(trials: StatusTrials, raw: Any, timing: Timing, path: Path) -> Iterator[Mark]:
    """A mark wherever the masked code changes to one that is not 0."""
    values, rate = read_codes(raw, trials.channel, path, timing.edf)
    codes = values & trials.mask
    before = np.concatenate([[0], codes[:-1]])
    for place in np.flatnonzero((codes != before) & (codes != 0)).tolist():
        yield Mark(timing.tick(place * timing.rate / rate) / timing.rate, math.nan, str(codes[place]))


def _of_table(trials: TableTrials, root: Path, recording: LabRecording) -> Iterator[Mark]:
    file = table_file(trials, root, recording)
    duration = _duration(trials, trials.duration)
    columns = (*trials.match.values(), trials.onset, *([duration] if duration else []))
    rows = read_rows(root, file, columns, trials.decimal)
    mine = [row for row in rows if all(_fits(recording, name, row[column]) for name, column in trials.match.items())]
    if not mine:
        wanted = ", ".join(f"{column} {_value(recording, name)}" for name, column in trials.match.items())
        raise NoRowError(
            f"'{root / file}' has no row for '{recording.file}': expected {wanted or 'one or more'}, found {len(rows)} "
            "rows of others.",
            f"{file} has no row{f' with {wanted}' if wanted else ''}",
        )
    yield from _of_rows(mine, trials.onset, duration, None)


def _duration(trials: EventTrials | TableTrials, column: str) -> str | None:
    """The column of the durations, where they bear on anything."""
    return column if trials.length == "stated" and trials.seconds is None else None


def _fits(recording: LabRecording, name: str, value: str) -> bool:
    if name == "file":
        return value.replace("\\", "/") in (recording.file, PurePosixPath(recording.file).name)
    return is_same(value, recording.fields.get(name, ""))


def _value(recording: LabRecording, name: str) -> str:
    return recording.file if name == "file" else recording.fields.get(name, "")


def _of_rows(rows: list[TextRow], onset: str, duration: str | None, description: str | None) -> Iterator[Mark]:
    for row in rows:
        # where the layout says how long trials are, it still tells how long a stretch is that is marked as bad
        duration_s = row.number(duration, "seconds") if duration else number_in(row.get("duration", ""))
        yield Mark(row.number(onset, "seconds"), duration_s, row[description] if description else "", row)
