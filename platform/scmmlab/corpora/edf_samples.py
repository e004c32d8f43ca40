"""The numbers that EDF and BDF files hold, signal by signal, and the values that they stand for.

A signal is known by its place, so that a status channel is read whatever it is called, and by its stored numbers, so
that none of its bits is lost.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scmmlab.corpora.edf import EdfHeader, EdfSignal, sample_bytes
from scmmlab.errors import CorpusError

_RECORDS_AT_A_TIME = 64


def read_records(
    path: Path, header: EdfHeader, places: Sequence[int], first: int = 0, last: int | None = None
) -> Iterator[list[NDArray[np.uint8]]]:
    """The bytes of some signals, each shape=(n_records, n_bytes), a few data records at a time.

    Parameters
    ----------
    path : Path
        An EDF or BDF file.
    header : EdfHeader
        What its header says.
    places : sequence of int
        Which of its signals.
    first, last : int
        Data records, half-open; all of them by default.

    Raises
    ------
    CorpusError
        If the file cannot be read, or is shorter than it was when its header was read.
    """
    last = header.records if last is None else last
    sizes = [sample_bytes(path) * signal.samples_per_record for signal in header.signals]
    slices = [slice(sum(sizes[:place]), sum(sizes[: place + 1])) for place in places]
    try:
        with path.open("rb") as file:
            file.seek(header.bytes + first * header.record_bytes)
            for start in range(first, last, _RECORDS_AT_A_TIME):
                count = min(_RECORDS_AT_A_TIME, last - start)
                content = file.read(count * header.record_bytes)
                if len(content) < count * header.record_bytes:
                    raise CorpusError(
                        f"'{path}' changed while it was read: expected {header.records} data records, found fewer.",
                        "read it again when it has been copied.",
                    )
                records = np.frombuffer(content, np.uint8).reshape(count, header.record_bytes)
                yield [records[:, inside] for inside in slices]
    except OSError as error:
        raise CorpusError(f"'{path}' cannot be read: expected data records, found {error.strerror}.") from error


def read_samples(
    path: Path, header: EdfHeader, places: Sequence[int], start: int = 0, stop: int | None = None
) -> NDArray[np.int32]:
    """The numbers of some signals as they are stored, with their sign.

    Parameters
    ----------
    path, header
        As of `read_records`.
    places : sequence of int
        Which of its signals, of one sampling rate.
    start, stop : int
        Samples, half-open, within the file; all of them by default.

    Returns
    -------
    array, shape=(n_signals, n_times)
    """
    (per_record,) = {header.signals[place].samples_per_record for place in places}
    stop = header.records * per_record if stop is None else stop
    assert 0 <= start <= stop <= header.records * per_record, (start, stop)
    first, last = start // per_record, -(-stop // per_record)
    samples, done = np.empty((len(places), (last - first) * per_record), np.int32), 0
    for part in read_records(path, header, places, first, last):
        count = part[0].shape[0] * per_record
        for row, stored in zip(samples, part, strict=True):
            row[done : done + count] = _signed(stored.reshape(count, -1))
        done += count
    return samples[:, start - first * per_record : stop - first * per_record]


def _signed(stored: NDArray[np.uint8]) -> NDArray[np.int32]:
    """Numbers of two or three bytes, the lowest first, in two's complement."""
    words = np.zeros((len(stored), 4), np.uint8)
    # in the upper bytes of a word its sign is theirs, and moving it down repeats the sign
    words[:, -stored.shape[1] :] = stored
    return words.view("<i4")[:, 0] >> 8 * (4 - stored.shape[1])


def physical_values(signal: EdfSignal, stored: NDArray[np.int32]) -> NDArray[np.float64]:
    """What numbers of a signal stand for, in the unit that it states; themselves where it states no range."""
    (low, high), (least, largest) = signal.physical, signal.digital
    if largest == least:
        return stored.astype(np.float64)
    # value = low + (number − least) · (high − low) / (largest − least), which is exact where the ranges are the same
    return low + (stored - np.float64(least)) * ((high - low) / (largest - least))
