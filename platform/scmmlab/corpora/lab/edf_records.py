"""When each record of an EDF+ or BDF+ file was recorded, and what is annotated in it, as its annotation signals say.

MNE takes the records of a continuous file to follow each other, and drops annotations that lie outside of them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from scmmlab.corpora.edf import EdfHeader
from scmmlab.corpora.edf_samples import read_records
from scmmlab.errors import CorpusError

_ANNOTATION = re.compile(rb"([+-]\d+(?:\.\d*)?)(?:\x15(\d+(?:\.\d*)?))?\x14(.*?)\x14\x00", re.DOTALL)
"""Onset, duration and descriptions, between which stands a 20."""
_ONSET = re.compile(rb"([+-]\d+(?:\.\d*)?)\x14\x14")
"""What a record begins with: when it was recorded."""
_JITTER_S = 0.005
"""By how much onsets may be rounded."""


@dataclass(frozen=True)
class EdfRecords:
    """What annotation signals say, in s from the start of the first record.

    Parameters
    ----------
    seconds : float
        Length of a record.
    leaps : tuple of (int, float)
        Records that do not follow the one before, and when they start.
    annotations : tuple of (float, float, str)
        Onset, duration and description of each.
    """

    seconds: float
    leaps: tuple[tuple[int, float], ...]
    annotations: tuple[tuple[float, float, str], ...]


def read_edf_records(path: Path, header: EdfHeader, rate: float, encoding: str) -> EdfRecords:
    """Read the annotation signals, of which EDF and BDF without a plus have none.

    Parameters
    ----------
    path : Path
        An EDF or BDF file.
    header : EdfHeader
        What its header says.
    rate : float
        Sampling rate of the recording in Hz.
    encoding : str
        The code page of its annotations.

    Raises
    ------
    CorpusError
        If a record starts before the one before it ends.
    """
    signals = [index for index, signal in enumerate(header.signals) if signal.is_annotations]
    starts: list[float | None] = []
    annotations: list[tuple[float, float, str]] = []
    parts = read_records(path, header, signals) if signals else ()
    for record in (record for part in parts for record in zip(*part, strict=True)):
        contents = [row.tobytes() for row in record]
        first = _ONSET.match(contents[0])
        starts.append(float(first[1]) if first else None)
        for onset, duration, texts in (found for content in contents for found in _ANNOTATION.findall(content)):
            annotations += [
                (float(onset), float(duration or 0), text.decode(encoding, "replace"))
                for text in texts.split(b"\x14")
                if text
            ]
    # the first record may begin a fraction of a second after the time that the header states
    zero = (starts[0] if starts else None) or 0.0
    leaps = _leaps(path, starts, header.record_seconds, max(_JITTER_S, 1 / rate))
    return EdfRecords(
        header.record_seconds,
        tuple((record, start - zero) for record, start in leaps),
        tuple((onset - zero, duration, text) for onset, duration, text in annotations),
    )


def _leaps(path: Path, starts: list[float | None], seconds: float, jitter: float) -> list[tuple[int, float]]:
    leaps: list[tuple[int, float]] = []
    if len(set(starts)) == 1:
        # a recorder that writes the same time into each keeps none
        return leaps
    before = None
    for record, start in enumerate(starts):
        if before is not None and start is not None:
            if start < before + seconds - jitter:
                raise CorpusError(
                    f"The records of '{path}' are not in chronological order: expected record {record + 1} at "
                    f"{before + seconds:g} s or later, as the one before says, found {start:g} s.",
                    "copy the file again, or write it anew from the recorder's own format.",
                )
            if start > before + seconds + jitter:
                leaps.append((record, start))
        before = start if start is not None else None if before is None else before + seconds
    return leaps
