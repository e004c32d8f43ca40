"""The numbers that EDF and BDF files hold, signal by signal, and the values that they stand for.

A signal is known by its place, so that a status channel is read whatever it is called, and by its stored numbers, so
that none of its bits is lost.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scmmlab.corpora.edf import EdfHeader, EdfSignal, sample_bytes
from scmmlab.errors import CorpusError


def read_stored_bytes(path: Path, header: EdfHeader, place: int) -> NDArray[np.uint8]:
    """The bytes of the signal at a place, shape=(n_records, n_bytes), which are read as they are looked at.

    Raises
    ------
    CorpusError
        If the file is shorter than it was when its header was read.
    """
    sizes = [sample_bytes(path) * signal.samples_per_record for signal in header.signals]
    start = sum(sizes[:place])
    try:
        content = np.memmap(path, np.uint8, "r", header.bytes, (header.records, header.record_bytes))
    except (OSError, ValueError) as error:
        raise CorpusError(
            f"'{path}' changed while it was read: expected {header.records} data records, found fewer.",
            "read it again when it has been copied.",
        ) from error
    return content[:, start : start + sizes[place]]


def read_samples(
    path: Path, header: EdfHeader, place: int, start: int = 0, stop: int | None = None
) -> NDArray[np.int32]:
    """The numbers of a signal as they are stored, with their sign.

    Parameters
    ----------
    path : Path
        An EDF or BDF file.
    header : EdfHeader
        What its header says.
    place : int
        Which of its signals.
    start, stop : int
        Samples, half-open, within the file; all of them by default.

    Returns
    -------
    array, shape=(n_times,)
    """
    per_record = header.signals[place].samples_per_record
    stop = header.records * per_record if stop is None else stop
    assert 0 <= start <= stop <= header.records * per_record, (start, stop)
    first, last = start // per_record, -(-stop // per_record)
    stored = read_stored_bytes(path, header, place)[first:last].reshape(-1, sample_bytes(path))
    words = np.zeros((len(stored), 4), np.uint8)
    # in the upper bytes of a word its sign is theirs, and moving it down repeats the sign
    words[:, -stored.shape[1] :] = stored
    samples: NDArray[np.int32] = words.view("<i4")[:, 0] >> 8 * (4 - stored.shape[1])
    return samples[start - first * per_record : stop - first * per_record]


def physical_values(signal: EdfSignal, stored: NDArray[np.int32]) -> NDArray[np.float64]:
    """What numbers of a signal stand for, in the unit that it states; themselves where it states no range."""
    (low, high), (least, largest) = signal.physical, signal.digital
    if largest == least:
        return stored.astype(np.float64)
    # value = low + (number − least) · (high − low) / (largest − least), which is exact where the ranges are the same
    return low + (stored - np.float64(least)) * ((high - low) / (largest - least))
