"""EDF and BDF files, read by MNE once their header is known to tell the truth."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scmmlab.errors import CorpusError

_MAIN_HEADER_BYTES = 256
_BYTES_PER_SIGNAL_HEADER = 256
_KINDS = {"EDF": (b"0", 2), "BDF": (b"\xffBIOSEMI", 3)}
"""What a file starts with, and bytes per sample: BDF is EDF with samples of 24 bits."""
_INCOMPLETE = "recordings.accept_incomplete: true takes the data records that are whole."
MICROVOLTS = {"uV": 1.0, "µV": 1.0, "mV": 1e3, "V": 1e6}
"""Units of voltage, in µV."""
_ANNOTATIONS = ("EDF Annotations", "BDF Annotations")


@dataclass(frozen=True)
class EdfSignal:
    """What the header says about one signal."""

    label: str
    unit: str
    samples_per_record: int
    physical: tuple[float, float]
    """Values in the unit that stand for the least and the largest number stored; zeros where it has no label."""
    digital: tuple[float, float]
    """Those numbers."""
    fault: str = ""
    """What is wrong with them, where the header was read for the sake of other signals."""

    @property
    def is_annotations(self) -> bool:
        """Whether it holds texts and times in place of samples."""
        return self.label in _ANNOTATIONS


@dataclass(frozen=True)
class EdfHeader:
    """What the header of an EDF file says, once checked against the file."""

    records: int
    record_seconds: float
    signals: tuple[EdfSignal, ...]
    bytes: int = 0
    """Where the first data record begins."""
    record_bytes: int = 0
    """Size of a data record."""
    note: str = ""
    """What the header and the file's size do not agree about, where that was to be accepted."""


def read_edf_header(path: Path, *, every_signal: bool = False, accept_incomplete: bool = False) -> EdfHeader:
    """The header of an EDF or BDF file, held against the file's size.

    Kemp et al., "A simple format for exchange of digitized polygraphic recordings", 1992, and EDF+ (2003).

    Parameters
    ----------
    path : Path
        The file.
    every_signal : bool
        Whether each signal must be sound, and the file to the letter of the standard. Else what is wrong with a signal
        is its `fault`, for whoever takes it; records may be discontinuous (EDF+D), and the header may be longer.
    accept_incomplete : bool
        Take the whole data records of a file that states no number of them, is cut off, or goes on behind the last.

    Raises
    ------
    CorpusError
        If the file is neither, is shorter than its header says, or its header cannot be true.
    """
    ending = path.suffix[1:].upper()
    start, _ = _KINDS.get(ending, _KINDS["EDF"])
    try:
        with path.open("rb") as file:
            main = file.read(_MAIN_HEADER_BYTES)
            if len(main) < _MAIN_HEADER_BYTES or main[:8].strip() != start:
                raise CorpusError(
                    f"{path} is not a valid {ending} file: expected a header of {_MAIN_HEADER_BYTES} bytes that starts "
                    f"with {start.decode('latin-1')!r}, found {len(main)} bytes that start with "
                    f"{main[:8].decode('latin-1')!r}."
                )
            kind = main[192:197].decode("latin-1").strip()
            continuous = kind not in ("EDF+D", "BDF+D")
            if every_signal:
                _expect(path, "kind", "a continuous recording (EDF or EDF+C)", kind, continuous)
            header_bytes = int(_number(path, main, 184, 8, "bytes of header"))
            records = int(_number(path, main, 236, 8, "number of data records"))
            record_seconds = _number(path, main, 244, 8, "duration of a data record")
            count = int(_number(path, main, 252, 4, "number of signals"))
            _expect(path, "number of signals", "1 or more", count, count >= 1)
            true_bytes = _MAIN_HEADER_BYTES + count * _BYTES_PER_SIGNAL_HEADER
            _expect(
                path,
                "bytes of header",
                f"{true_bytes} for {count} signals",
                header_bytes,
                header_bytes == true_bytes or (not every_signal and header_bytes > true_bytes),
            )
            if not accept_incomplete:
                hint = "" if every_signal else _INCOMPLETE
                _expect(path, "number of data records", "1 or more", records, records >= 1, hint)
            _expect(path, "duration of a data record", "more than 0 s", record_seconds, record_seconds > 0)
            fields = file.read(count * _BYTES_PER_SIGNAL_HEADER)
    except OSError as error:
        raise CorpusError(f"{path} cannot be read: expected an EDF file, found {error.strerror}.") from error
    signals = _signals(path, fields, count, every_signal)
    record_bytes = sample_bytes(path) * sum(signal.samples_per_record for signal in signals)
    expected, found = header_bytes + records * record_bytes, path.stat().st_size
    whole, note = max(found - header_bytes, 0) // record_bytes, ""
    if accept_incomplete and found != expected:
        _expect(path, "size", f"{header_bytes + record_bytes} bytes or more", f"{found} bytes", whole >= 1)
        stated, records = records, whole if records < 1 else min(records, whole)
        behind = found - header_bytes - records * record_bytes
        note = f"the header states {stated} data records; {records} whole ones were read, and {behind} bytes were not"
    elif found < expected:
        raise CorpusError(
            f"{path} is truncated: expected {records} data records ({expected} bytes) as its header says, found "
            f"{whole} whole ones ({found} bytes).",
            "copy or download the file again."
            if every_signal
            else f"copy or download the file again, or {_INCOMPLETE}",
        )
    else:
        hint = "" if every_signal else _INCOMPLETE
        _expect(path, "size", f"{expected} bytes for {records} data records", f"{found} bytes", found == expected, hint)
    return EdfHeader(records, record_seconds, signals, header_bytes, record_bytes, note)


def sample_bytes(path: Path) -> int:
    """Bytes of a number in a file: 3 in BDF, 2 in EDF."""
    return _KINDS.get(path.suffix[1:].upper(), _KINDS["EDF"])[1]


def read_edf(
    path: Path, channels: Sequence[str], name_of: Callable[[str], str], sampling_rate: float
) -> NDArray[np.float64]:
    """The signal of some channels.

    Parameters
    ----------
    path : Path
        An EDF file.
    channels : sequence of str
        The channels wanted, in the order wanted.
    name_of : callable
        From a label in the file to the name of a channel.
    sampling_rate : float
        The sampling rate that they must have, in Hz.

    Returns
    -------
    array, shape=(n_channels, n_times)
        In µV.

    Raises
    ------
    CorpusError
        If the file is not what its header says, or lacks a channel, has it twice, at another rate or in another unit.
    """
    header = read_edf_header(path, every_signal=True)
    named = [(name_of(signal.label), signal) for signal in header.signals]
    count = Counter(name for name, _ in named)
    missing = [name for name in channels if not count[name]]
    if missing:
        raise CorpusError(
            f"{path} has no channel {', '.join(missing)}: expected {', '.join(channels)}, found "
            f"{', '.join(signal.label for signal in header.signals)}."
        )
    by_name = dict(named)
    for name in channels:
        signal = by_name[name]
        _expect(path, f"number of channels named {name}", "1", count[name], count[name] == 1)
        rate = signal.samples_per_record / header.record_seconds
        _expect(path, f"sampling rate of {name}", f"{sampling_rate:g} Hz", f"{rate:g} Hz", rate == sampling_rate)
        _expect(path, f"unit of {name}", " or ".join(MICROVOLTS), repr(signal.unit), signal.unit in MICROVOLTS)
    return _read_with_mne(path, [by_name[name].label for name in channels])


def _read_with_mne(path: Path, labels: list[str]) -> NDArray[np.float64]:
    # MNE takes a second to import; whoever reads no EDF should not wait for it
    import mne

    try:
        raw = mne.io.read_raw_edf(path, include=labels, preload=True, verbose="ERROR")
        in_microvolts: NDArray[np.float64] = raw.get_data(picks=labels) * 1e6
    except (ValueError, RuntimeError, OSError, AssertionError, IndexError) as error:
        raise CorpusError(
            f"{path} cannot be read: expected an EDF file, found what MNE says: {str(error).splitlines()[0]}."
        ) from error
    return in_microvolts


def _signals(path: Path, fields: bytes, count: int, every_signal: bool) -> tuple[EdfSignal, ...]:
    """The signals' headers, which are stored field by field: all labels, then all transducers, …"""
    _expect(path, "bytes of signal headers", count * _BYTES_PER_SIGNAL_HEADER, len(fields), len(fields) == count * 256)

    def column(start: int, width: int) -> list[bytes]:
        return [fields[count * start + i * width : count * start + (i + 1) * width] for i in range(count)]

    signals = []
    for label, unit, low, high, digital_low, digital_high, samples in zip(
        column(0, 16), column(96, 8), column(104, 8), column(112, 8), column(120, 8), column(128, 8), column(216, 8),
        strict=True,
    ):  # fmt: skip
        name = _text(label)
        per_record = int(_number(path, samples, 0, 8, f"samples in a data record of {name}"))
        _expect(path, f"samples in a data record of {name}", "1 or more", per_record, per_record >= 1)
        physical, digital, fault = (0.0, 0.0), (0.0, 0.0), ""
        # nobody can ask for the values of a signal without a name, and a recorder may leave its ranges empty
        try:
            if name:
                physical = _range(path, low, high, f"physical range of {name}")
                digital = _range(path, digital_low, digital_high, f"digital range of {name}")
                different, rising = physical[0] != physical[1], digital[0] < digital[1]
                _expect(path, f"physical range of {name}", "two different numbers", physical, different)
                _expect(path, f"digital range of {name}", "minimum below maximum", digital, rising)
        except CorpusError as error:
            if every_signal:
                raise
            fault = error.message
        signals.append(EdfSignal(name, _text(unit), per_record, physical, digital, fault))
    return tuple(signals)


def _text(field: bytes) -> str:
    """Padded with spaces, or ended and followed by anything."""
    return field.decode("latin-1").split("\0")[0].strip()


def _range(path: Path, low: bytes, high: bytes, what: str) -> tuple[float, float]:
    return _number(path, low, 0, 8, what), _number(path, high, 0, 8, what)


def _number(path: Path, header: bytes, start: int, width: int, what: str) -> float:
    text = header[start : start + width].decode("latin-1").split("\0")[0].strip()
    try:
        # recorders under some locales write decimal commas
        value = float(text.replace(",", "."))
    except ValueError:
        value = math.nan
    _expect(path, what, "a number", repr(text), math.isfinite(value))
    return value


def _expect(path: Path, what: str, expected: object, found: object, true: bool, hint: str = "") -> None:
    if not true:
        raise CorpusError(
            f"The header of {path} is wrong about the {what}: expected {expected}, found {found}.", hint or None
        )
