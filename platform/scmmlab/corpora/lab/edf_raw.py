"""EDF and BDF files as MNE's `Raw`, with those signals alone that are wanted, at their own sampling rate.

MNE brings all signals to the rate of the fastest one, knows them by labels that may stand twice, and reads numbers of
each signal before it looks which are wanted. It is therefore handed the file with a plain header in place of its own:
the same data records, signals named by their places, and numbers that can be read.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scmmlab.corpora.edf import EdfHeader
from scmmlab.corpora.lab.units import volts_in

_GAINS = {1e-6: "uV", 1e-3: "mV"}
"""Units that MNE knows; to it all others are V."""


def open_edf(path: Path, header: EdfHeader, places: Sequence[int], codes: int | None, encoding: str) -> Any:
    """A recording of some of a file's signals, not yet read, its channels named by their places in the file.

    Parameters
    ----------
    path : Path
        The file.
    header : EdfHeader
        What its header says.
    places : sequence of int
        The signals wanted, of one sampling rate.
    codes : int | None
        One more, of that sampling rate or a lower one, whose values are trigger codes and no voltages.
    encoding : str
        The code page of its annotations.
    """
    import mne.io.edf.edf

    bdf = path.suffix.lower() == ".bdf"
    wanted = sorted({*places, *([] if codes is None else [codes])})
    # codes of a lower rate are held, never interpolated
    rates = {header.signals[place].samples_per_record for place in wanted}
    held = [str(codes)] if codes is not None and len(rates) > 1 else []
    raw_class = mne.io.edf.edf.RawBDF if bdf else mne.io.edf.edf.RawEDF
    return raw_class(
        _PlainFile(path, header, codes, bdf),
        include=[str(place) for place in wanted],
        stim_channel=held or None,
        encoding=encoding,
        verbose="ERROR",
    )


def mne_gain(unit: str) -> float:
    """How many volts MNE takes one of a signal's unit for, as `open_edf` states it."""
    volts = volts_in(unit)
    return volts if volts is not None and volts in _GAINS else 1.0


class _PlainFile(io.RawIOBase):
    """An EDF or BDF file with a plain header. It keeps nothing open, and can be copied."""

    def __init__(self, path: Path, header: EdfHeader, codes: int | None, bdf: bool):
        self.name, self._offset = str(path), header.bytes
        with path.open("rb") as file:
            own = file.read(256 * (len(header.signals) + 1))
        self._header = _plain_header(own, header, codes, bdf)
        self._size, self._position = len(self._header) + header.records * header.record_bytes, 0

    def seekable(self) -> bool:
        """It is."""
        return True

    def readable(self) -> bool:
        """It is."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """As of any file."""
        self._position = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        return self._position

    def tell(self) -> int:
        """As of any file."""
        return self._position

    def readinto(self, buffer: Any) -> int:
        """As of any file: what lies there, and how much it is."""
        view = memoryview(buffer).cast("B")
        count = min(len(view), max(self._size - self._position, 0))
        data = self._header[self._position : self._position + count]
        if len(data) < count:
            with open(self.name, "rb") as file:
                file.seek(self._offset + self._position + len(data) - len(self._header))
                data += file.read(count - len(data))
        view[: len(data)] = data
        self._position += len(data)
        return len(data)


def _plain_header(own: bytes, header: EdfHeader, codes: int | None, bdf: bool) -> bytes:
    """The header of a file with what MNE reads of it put right, or left empty where it does not matter."""
    signals, count = header.signals, len(header.signals)

    def texts(values: Sequence[object], width: int) -> bytes:
        return b"".join(str(value).encode("latin-1").ljust(width) for value in values)

    def numbers(start: int, sound: int, codes_of_bdf: int) -> bytes:
        found = [own[256 + count * start + 8 * place :][:8].replace(b",", b".") for place in range(count)]
        for place, signal in enumerate(signals):
            if signal.fault or not signal.label:
                # any range will do for a signal that nobody takes
                found[place] = texts([sound], 8)
            elif place == codes and bdf:
                # codes are the numbers as they are stored
                found[place] = texts([codes_of_bdf], 8)
        return b"".join(found)

    least = -(2 ** (23 if bdf else 15))
    labels = [signal.label if signal.is_annotations else place for place, signal in enumerate(signals)]
    units = ["" if place == codes else _GAINS.get(mne_gain(signal.unit), "") for place, signal in enumerate(signals)]
    return b"".join(
        (
            own[:184],
            texts([256 * (count + 1)], 8),
            own[192:236],
            texts([header.records], 8),
            own[244:252].replace(b",", b"."),
            own[252:256],
            texts(labels, 16),
            texts([""] * count, 80),
            texts(units, 8),
            numbers(104, -1, least),
            numbers(112, 1, -least - 1),
            numbers(120, least, least),
            numbers(128, -least - 1, -least - 1),
            texts([""] * count, 80),
            texts([signal.samples_per_record for signal in signals], 8),
            texts([""] * count, 32),
        )
    )
