"""The codes of a trigger channel, in the whole numbers that its file states."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scmmlab.corpora.edf import EdfHeader
from scmmlab.corpora.edf_samples import physical_values, read_samples
from scmmlab.corpora.lab.formats import read_segment
from scmmlab.errors import CorpusError, nearest

_FARTHEST = 0.1
"""How far from a whole number a code may be: gains of 16 bits round it, filters and resampling leave it anywhere."""
_LARGEST = 2.0**53
_ONE_BYTE = 255


def read_codes(raw: Any, channel: str, path: Path, header: EdfHeader | None) -> tuple[NDArray[np.int64], float]:
    """The values of a trigger channel, shape=(n_times,), and its sampling rate in Hz.

    Parameters
    ----------
    raw : mne.io.Raw
        The recording.
    channel : str
        The channel's name.
    path : Path
        The recording's file.
    header : EdfHeader | None
        Of an EDF or BDF file, each of whose signals has a sampling rate of its own.

    Raises
    ------
    CorpusError
        If there is no such channel, or its values are no whole numbers.
    """
    if header is not None:
        # MNE cuts the values of a channel of this name to whole numbers, and to 17 bits
        values, rate = _edf_values(path, header, channel)
    elif channel not in raw.ch_names:
        raise _missing(path, channel, raw.ch_names)
    else:
        index, rate = raw.ch_names.index(channel), float(raw.info["sfreq"])
        (values,) = read_segment(raw, [index], 0, raw.n_times, path)
        values = values / _scale(raw, index, path)
    codes = np.rint(values)
    good = _are_whole(values)
    if not good.all():
        at = int(np.argmin(good))
        raise _no_codes(path, channel, f"{values[at]:.6g} at {at / rate:.3f} s")
    if values.any() and not codes.any():
        raise _no_codes(path, channel, f"{values.min():.6g} to {values.max():.6g}")
    return codes.astype(np.int64), rate


def _no_codes(path: Path, channel: str, found: str) -> CorpusError:
    return CorpusError(
        f"The channel {channel} of '{path}' holds no codes: expected whole numbers, found {found}.",
        "trials.channel names another one; a trigger channel that was filtered, resampled or scaled is none any more.",
    )


def _missing(path: Path, channel: str, names: list[str]) -> CorpusError:
    guess = nearest(channel, names)
    return CorpusError(
        f"'{path}' has no status channel {channel!r}: expected it, found {', '.join(names)}.",
        f"did you mean {guess!r}?" if guess else "name it with trials.channel.",
    )


def _are_whole(values: NDArray[np.float64]) -> NDArray[np.bool_]:
    # a comparison with NaN is false
    return (np.abs(values - np.rint(values)) <= _FARTHEST) & (np.abs(values) < _LARGEST)


def _edf_values(path: Path, header: EdfHeader, channel: str) -> tuple[NDArray[np.float64], float]:
    index = _edf_signal(path, header, channel)
    (stored,) = read_samples(path, header, [index])
    values = physical_values(header.signals[index], stored)
    # some writers give BDF's status the range of the electrodes: its bits are then those of what is stored
    is_bits = path.suffix.lower() == ".bdf" and channel.lower() in ("status", "trigger")
    if is_bits and (np.abs(stored).max() <= _ONE_BYTE or not _are_whole(values).all()):
        values = stored.astype(np.float64)
    return values, header.signals[index].samples_per_record / header.record_seconds


def _edf_signal(path: Path, header: EdfHeader, channel: str) -> int:
    """Which signal a channel is: MNE takes a type before its name off, as of `EEG Fp1`."""
    labels = [signal.label for signal in header.signals]
    found = [index for index, label in enumerate(labels) if channel in (label, label.partition(" ")[2].strip())]
    if not found:
        raise _missing(path, channel, [signal.label for signal in header.signals if not signal.is_annotations])
    if header.signals[found[0]].fault:
        raise CorpusError(header.signals[found[0]].fault, "trials.channel names the channel of the codes.")
    if len(found) != 1:
        raise CorpusError(
            f"'{path}' has channel {channel} {len(found)} times: expected it once, found {', '.join(labels)}.",
            "trials.channel names one that stands there once.",
        )
    return found[0]


def _scale(raw: Any, index: int, path: Path) -> float:
    """What MNE multiplied the numbers of a channel by to have V of them."""
    ending = path.suffix.lower()
    if ending == ".vhdr":
        return float(raw.info["chs"][index]["range"])
    # EEGLAB's and Neuroscan's numbers are µV whatever the channel is
    return 1e-6 if ending in (".set", ".cnt") else 1.0
