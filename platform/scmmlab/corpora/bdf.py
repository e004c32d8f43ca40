"""The signals of BDF files, a stretch at a time.

MNE knows signals by their names alone, numbers those that share one, and takes one without a name for EEG in volts.
Here a signal is known by its place, so that a status channel is read whatever it is called.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scmmlab.corpora.edf import VOLT_UNITS, EdfSignal, read_edf_header
from scmmlab.errors import CorpusError

_SAMPLE_BYTES = 3
_RECORDS_AT_A_TIME = 64
_MICROVOLTS = {"uV": 1.0, "µV": 1.0, "mV": 1e3, "V": 1e6}


class BdfFile:
    """A BDF file whose header has been held against its size. Nothing else of it stays in memory.

    Parameters
    ----------
    path : Path
        A file that ends in `.bdf`.

    Raises
    ------
    CorpusError
        If it is no BDF file, is shorter or longer than its header says, or its header cannot be true.
    """

    def __init__(self, path: Path):
        self.path = path
        header = read_edf_header(path, every_signal=True)
        self.signals: tuple[EdfSignal, ...] = header.signals
        self._records, self._record_seconds = header.records, header.record_seconds
        sizes = [_SAMPLE_BYTES * signal.samples_per_record for signal in self.signals]
        self._starts = np.cumsum([0, *sizes]).tolist()
        self._header_bytes = 256 * (1 + len(self.signals))

    def sampling_rate(self, signal: int) -> float:
        """Of the signal at a place, in Hz."""
        return self.signals[signal].samples_per_record / self._record_seconds

    def samples(self, signal: int) -> int:
        """How many there are of the signal at a place."""
        return self._records * self.signals[signal].samples_per_record

    def digital(self, signals: Sequence[int], start: int, stop: int) -> NDArray[np.int32]:
        """The numbers as they are stored, with their sign.

        Parameters
        ----------
        signals : sequence of int
            Places of signals of one sampling rate.
        start, stop : int
            Samples, half-open, within the file.

        Returns
        -------
        array, shape=(n_signals, n_times)
        """
        (per_record,) = {self.signals[signal].samples_per_record for signal in signals}
        assert 0 <= start <= stop <= self._records * per_record, (start, stop)
        out = np.empty((len(signals), stop - start), np.int32)
        record_bytes, done = self._starts[-1], 0
        try:
            with self.path.open("rb") as file:
                for first in range(start // per_record, -(-stop // per_record), _RECORDS_AT_A_TIME):
                    last = min(first + _RECORDS_AT_A_TIME, -(-stop // per_record))
                    file.seek(self._header_bytes + first * record_bytes)
                    content = file.read((last - first) * record_bytes)
                    if len(content) < (last - first) * record_bytes:
                        raise CorpusError(
                            f"{self.path} is truncated: expected data record {last}, found the end of the file."
                        )
                    records = np.frombuffer(content, np.uint8).reshape(last - first, record_bytes)
                    inside = slice(
                        max(start - first * per_record, 0), min(stop, last * per_record) - first * per_record
                    )
                    count = inside.stop - inside.start
                    for row, signal in enumerate(signals):
                        stored = records[:, self._starts[signal] : self._starts[signal + 1]]
                        out[row, done : done + count] = _signed(stored)[inside]
                    done += count
        except OSError as error:
            raise CorpusError(f"{self.path} cannot be read: expected a BDF file, found {error.strerror}.") from error
        return out

    def microvolts(self, signals: Sequence[int], start: int, stop: int) -> NDArray[np.float64]:
        """The values that the numbers stand for.

        Parameters
        ----------
        signals, start, stop
            As of `digital`; each signal has a name.

        Returns
        -------
        array, shape=(n_signals, n_times)
            In µV.

        Raises
        ------
        CorpusError
            If the unit of a signal is no voltage.
        """
        values = self.digital(signals, start, stop).astype(np.float64)
        for row, place in zip(values, signals, strict=True):
            signal = self.signals[place]
            if signal.unit not in VOLT_UNITS:
                raise CorpusError(
                    f"The header of {self.path} is wrong about the unit of {signal.label}: expected "
                    f"{' or '.join(VOLT_UNITS)}, found {signal.unit!r}."
                )
            assert signal.label, "a signal without a name has no unit"
            (low, high), (least, largest) = signal.physical, signal.digital
            # µV = low + (number − least) · (high − low) / (largest − least)
            row -= least
            row *= (high - low) / (largest - least)
            row += low
            row *= _MICROVOLTS[signal.unit]
        return values


def _signed(stored: NDArray[np.uint8]) -> NDArray[np.int32]:
    """Numbers of 24 bits, the lowest byte first, in two's complement."""
    words = np.zeros((stored.size // _SAMPLE_BYTES, 4), np.uint8)
    # in the upper three bytes of a word its sign is theirs, and moving it down repeats the sign
    words[:, 1:] = stored.reshape(-1, _SAMPLE_BYTES)
    return words.view("<i4")[:, 0] >> 8
