"""BDF files as BioSemi's recorder writes them, record by record."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

_STATUS_UNIT = "Boolean"
MICROVOLTS_PER_STEP = 1 / 32
"""Of the amplifier: ±262144 µV in 24 bits."""


def write_bdf(path: Path, labels: list[str], blocks: Iterable[NDArray[np.int32]], sampling_rate: int) -> None:
    """Write stored numbers, of which the last channel is the status.

    Parameters
    ----------
    path : Path
        Where to.
    labels : list of str
        Names of the channels, which may be empty and need not differ.
    blocks : iterable of array, shape=(n_channels, n_times)
        Whole seconds, one after the other.
    sampling_rate : int
        In Hz.
    """
    count, records = len(labels), 0
    with path.open("wb") as file:
        file.write(_header(labels, sampling_rate, 0))
        for block_CT in blocks:
            seconds = block_CT.shape[1] // sampling_rate
            assert block_CT.shape == (count, seconds * sampling_rate), block_CT.shape
            by_record = block_CT.astype("<i4").reshape(count, seconds, sampling_rate).swapaxes(0, 1)
            # the lower three of four bytes
            file.write(np.ascontiguousarray(by_record).view(np.uint8).reshape(-1, 4)[:, :3].tobytes())
            records += seconds
        file.seek(0)
        file.write(_header(labels, sampling_rate, records))


def _header(labels: list[str], sampling_rate: int, records: int) -> bytes:
    count = len(labels)

    def texts(width: int, *values: object) -> bytes:
        return b"".join(str(value).encode("ascii").ljust(width) for value in values)

    main = b"\xffBIOSEMI" + texts(80, "", "") + texts(8, "01.01.10", "00.00.00", 256 * (count + 1))
    main += texts(44, "24BIT") + texts(8, records, 1) + texts(4, count)
    last = count - 1
    signals = texts(16, *labels) + texts(80, *["Active Electrode"] * last, "Triggers and Status")
    signals += texts(8, *["uV"] * last, _STATUS_UNIT)
    signals += texts(8, *[-262144] * last, -8388608) + texts(8, *[262144] * last, 8388607)
    signals += texts(8, *[-8388608] * count) + texts(8, *[8388607] * count)
    signals += texts(80, *["HP: DC; LP: 104 Hz"] * last, "No filtering")
    signals += texts(8, *[sampling_rate] * count) + texts(32, *["Reserved"] * count)
    return main + signals
