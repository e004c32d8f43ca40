"""When the samples of a recording were taken, and all that is annotated in it, outside of its data as well."""

from __future__ import annotations

import tempfile
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from scmmlab.corpora.edf import EdfHeader
from scmmlab.corpora.lab.bids import read_events
from scmmlab.corpora.lab.brainvision import new_segments
from scmmlab.corpora.lab.edf_records import EdfRecords, read_edf_records
from scmmlab.corpora.lab.formats import edf_header, guarded, parts_of
from scmmlab.corpora.lab.layout import RecordingsSpec
from scmmlab.corpora.lab.marks import Mark, events_file
from scmmlab.corpora.lab.recordings import LabRecording


@dataclass(frozen=True)
class Timing:
    """The clock that marks are counted by, in ticks as long as a sample, and the annotations of the recording itself.

    Parameters
    ----------
    rate : float
        Ticks in a s.
    n_times : int
        Samples of the recording.
    pieces : tuple of (int, int)
        Tick and sample at which each piece starts that nothing is missing in; one where the clock never leaps.
    annotations : tuple of Mark
        In time order.
    own : tuple of Mark
        Those of the file itself, in whose place BIDS has an `events.tsv`.
    edf : EdfHeader | None
        The header of an EDF or BDF file.
    """

    rate: float
    n_times: int
    pieces: tuple[tuple[int, int], ...] = ((0, 0),)
    annotations: tuple[Mark, ...] = ()
    own: tuple[Mark, ...] = ()
    edf: EdfHeader | None = None

    @property
    def stop(self) -> int:
        """The tick after the last sample."""
        tick, sample = self.pieces[-1]
        return tick + self.n_times - sample

    def tick(self, sample: float) -> int:
        """When a sample was taken."""
        tick, first = self.pieces[bisect_right([first for _, first in self.pieces], sample) - 1]
        return tick + round(sample - first)

    def sample(self, tick: int) -> int:
        """The first sample that was taken at a tick or after it."""
        index = max(bisect_right([start for start, _ in self.pieces], tick) - 1, 0)
        start, first = self.pieces[index]
        following = self.pieces[index + 1][1] if index + 1 < len(self.pieces) else self.n_times
        return min(first + tick - start, following)


def read_timing(root: Path, recording: LabRecording, raw: Any, spec: RecordingsSpec) -> Timing:
    """The clock and the annotations of a recording.

    MNE drops what lies outside of the data and clips what goes over their ends, so that a mark whose signal is lost
    looks like none: such marks are read from the file again.

    Parameters
    ----------
    root : Path
        The corpus's folder.
    recording : LabRecording
        Which of its recordings.
    raw : mne.io.Raw
        It, opened.
    spec : RecordingsSpec
        In a BIDS folder, `events.tsv` stand in the place of the recordings' annotations.

    Raises
    ------
    CorpusError
        If a file cannot be read.
    """
    path, rate = root / recording.file, float(raw.info["sfreq"])
    pieces: tuple[tuple[int, int], ...] = ((0, 0),)
    records = None
    header = edf_header(path, spec)
    if header is not None:
        records = read_edf_records(path, header, rate, spec.encoding)
        length = records.seconds * rate
        pieces += tuple((round(start * rate), round(record * length)) for record, start in records.leaps)
    own = list(_own_marks(root, recording.file, raw, records, spec))
    events = None if spec.bids is None else events_file(root, recording)
    stated = own if events is None else [Mark(*each) for each in read_events(root, events)]
    # onsets count from the first sample that was recorded, which need not be the first that was saved
    known = [
        Mark(float(each["onset"]) - raw.first_time, float(each["duration"]), str(each["description"]))
        for each in raw.annotations
    ]
    annotations = _whole(known, stated, raw.n_times / rate, 0.5 / rate)
    return Timing(rate, int(raw.n_times), pieces, tuple(annotations), tuple(own), header)


def _whole(known: Iterable[Mark], stated: Iterable[Mark], length_s: float, near_s: float) -> list[Mark]:
    """What MNE knows, and what is stated and not inside the data, in the place of what MNE made of it."""
    marks = list(known)
    for mark in stated:
        if mark.onset_s >= -near_s and mark.end_s <= length_s + near_s:
            continue
        clipped = max(mark.onset_s, 0.0), min(mark.end_s, length_s)
        for index, other in enumerate(marks):
            ends = abs(other.onset_s - clipped[0]), abs(other.end_s - clipped[1])
            if other.description == mark.description and max(ends) <= near_s:
                del marks[index]
                break
        marks.append(mark)
    return sorted(marks, key=lambda mark: mark.onset_s)


def _own_marks(root: Path, file: str, raw: Any, records: EdfRecords | None, spec: RecordingsSpec) -> Iterator[Mark]:
    """The annotations that the file holds, as they stand there."""
    path, rate = root / file, float(raw.info["sfreq"])
    if records is not None:
        yield from (Mark(*each) for each in records.annotations)
        return
    if path.suffix.lower() == ".vhdr":
        parts = [root / part for part in parts_of(root, file, spec) if part.lower().endswith((".vmrk", ".amrk"))]
        yield from (Mark(place / rate, 0.0, "New Segment/") for part in parts for place in new_segments(part))
    else:
        parts = [path]
    for part in parts:
        annotations = guarded(path, partial(_read_annotations, part, rate))
        if annotations is None:
            continue
        # as in `read_timing`; where a date is stated and none of the annotations, they count from what was saved
        relative = annotations.orig_time is None and raw.info["meas_date"] is not None
        offset_s = -float(raw.first_time) if part.suffix.lower() == ".fif" and not relative else 0.0
        for each in annotations:
            yield Mark(float(each["onset"]) + offset_s, float(each["duration"]), str(each["description"]))


def _read_annotations(path: Path, rate: float) -> Any:
    import mne

    with path.open("rb") as file:
        if file.read(4) in (b"RIFF", b"RF64"):
            # ANT Neuro's; MNE reads its annotations with the recording alone
            return None
    try:
        if path.suffix == path.suffix.lower():
            return mne.read_annotations(path, sfreq=rate)
        # MNE knows endings in small letters alone
        with tempfile.TemporaryDirectory() as folder:
            link = Path(folder, path.stem + path.suffix.lower())
            link.symlink_to(path.resolve())
            return mne.read_annotations(link, sfreq=rate)
    except OSError as error:
        if "No annotation data" in str(error):
            return None
        raise
