"""Neuroscan CNT files of 32 bits, as far as a reader needs them, block by block."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

MICROVOLTS_PER_STEP = 2.0**-5
"""Of the amplifier."""
_HEADER, _ELECTRODE = 900, 75
_SENSITIVITY = 204.8 * MICROVOLTS_PER_STEP
"""A stored number times sensitivity times calibration over 204.8 is in µV."""


def write_cnt(path: Path, labels: list[str], blocks: Iterable[NDArray[np.int32]], sampling_rate: int) -> None:
    """Write stored numbers, and behind them a table of no events.

    Parameters
    ----------
    path : Path
        Where to.
    labels : list of str
        Names of the channels, of ten letters at most.
    blocks : iterable of array, shape=(n_channels, n_times)
        One after the other.
    sampling_rate : int
        In Hz.
    """
    samples = 0
    with path.open("wb") as file:
        file.write(_header(labels, sampling_rate, samples))
        for block_CT in blocks:
            assert len(block_CT) == len(labels), block_CT.shape
            file.write(np.ascontiguousarray(block_CT.T, "<i4").tobytes())
            samples += block_CT.shape[1]
        # kind, bytes that follow, offset
        file.write(struct.pack("<Bii", 1, 0, 0))
        file.seek(0)
        file.write(_header(labels, sampling_rate, samples))


def _header(labels: list[str], sampling_rate: int, samples: int) -> bytes:
    header = bytearray(_HEADER + _ELECTRODE * len(labels))
    header[:12] = b"Version 3.0\0"
    header[225:235], header[235:247] = b"08/02/18\0\0", b"12:00:00\0\0\0\0"
    struct.pack_into("<H", header, 370, len(labels))
    struct.pack_into("<H", header, 376, sampling_rate)
    struct.pack_into("<I", header, 864, samples)
    # a file of more than 4 GiB has this table's place modulo 2³², as the recorder writes it
    struct.pack_into("<I", header, 886, (len(header) + 4 * samples * len(labels)) % 2**32)
    for number, label in enumerate(labels):
        at = _HEADER + _ELECTRODE * number
        header[at : at + len(label)] = label.encode("ascii")
        angle = 2 * np.pi * number / len(labels)
        struct.pack_into("<ff", header, at + 19, np.cos(angle), np.sin(angle))
        struct.pack_into("<f", header, at + 59, _SENSITIVITY)
        struct.pack_into("<f", header, at + 71, 1.0)
    return bytes(header)
