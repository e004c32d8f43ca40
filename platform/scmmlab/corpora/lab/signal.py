"""The signal of a recording's channels: chosen, in µV, referenced, a trial at a time."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scmmlab.corpora.edf import MICROVOLTS, EdfHeader
from scmmlab.corpora.lab.channels import (
    Channel,
    edf_channels,
    is_no_eeg_by_name,
    raw_channels,
    why_no_eeg,
    with_bids,
)
from scmmlab.corpora.lab.formats import EdfPart, edf_header, guarded, open_recording, parts_of, read_segment
from scmmlab.corpora.lab.layout import LayoutSpec, SignalSpec, StatusTrials
from scmmlab.corpora.lab.units import volts_in
from scmmlab.corpora.left_out import LeftOut
from scmmlab.errors import CorpusError, nearest

MOST_VALUES = 2**27
"""Samples of all channels together that are read at a time: 1 GiB."""
_NOTCH_QUALITY = 30.0
"""Centre over width of a notch: 1.7 Hz at 50 Hz."""
_PLAUSIBLE_UV = (0.05, 50_000.0)
"""Standard deviation of an EEG channel, drifts of electrodes included; a wrong unit is off by a thousand or more."""
_ROUNDED = 1e-3
"""A sampling rate that differs by less is the same, stated in fewer digits."""
_MOST_NAMED = 16


@dataclass(frozen=True)
class SignalSource:
    """The channels that are taken of a recording.

    Parameters
    ----------
    raw : mne.io.Raw
        The recording, its signal not yet read.
    path : Path
        Where it lies, for messages.
    channels : tuple of str
        Their names in the table.
    picks, reference_picks : list of int
        Where they are in the recording, and where the reference channels are.
    spec : SignalSpec
        What is done to the signal.
    taken : tuple of Channel
        What the recording says of the channels, and then of the reference channels.
    left_out : tuple of LeftOut
        Which channels are not taken because they are no EEG.
    notes : tuple of str
        What a reader of the manifest should know.
    sampling_rate : float
        In Hz.
    """

    raw: Any
    path: Path
    channels: tuple[str, ...]
    picks: list[int]
    reference_picks: list[int]
    spec: SignalSpec
    taken: tuple[Channel, ...]
    left_out: tuple[LeftOut, ...]
    notes: tuple[str, ...]
    sampling_rate: float

    def read(self, start: int, stop: int) -> NDArray[np.float64]:
        """Samples start to stop, shape=(n_channels, n_times), in µV.

        Raises
        ------
        CorpusError
            If they are too many for the memory, cannot be read, or cannot be µV.
        """
        picks = self.picks + self.reference_picks
        if len(picks) * (stop - start) > MOST_VALUES:
            raise CorpusError(
                f"A trial in '{self.path}' is too long to be read at a time: expected at most "
                f"{MOST_VALUES // len(picks) / self.sampling_rate:.0f} s of {len(picks)} channels, found "
                f"{(stop - start) / self.sampling_rate:.0f} s.",
                "trials.block_s cuts long trials into blocks.",
            )
        factors_C1 = np.array([[self._factor(channel)] for channel in self.taken])
        signal_CT = read_segment(self.raw, picks, start, stop, self.path) * factors_C1 * 1e6
        # before the mean of all channels, with which one of another unit would spoil the others, is taken off
        self._check_units(signal_CT)
        taken_CT, reference_CT = signal_CT[: len(self.picks)], signal_CT[len(self.picks) :]
        if self.reference_picks:
            taken_CT = taken_CT - reference_CT.mean(axis=0)
        elif self.spec.reference == "average":
            taken_CT = taken_CT - taken_CT.mean(axis=0)
        # amplifiers without a high-pass have offsets of tens of mV, which would cost the filters digits
        taken_CT -= taken_CT.mean(axis=1, keepdims=True)
        return self._notched(taken_CT)

    def _notched(self, signal_CT: NDArray[np.float64]) -> NDArray[np.float64]:
        # SciPy's filters take half a second to import
        from scipy.signal import filtfilt, iirnotch

        for frequency in self.spec.notch:
            if frequency >= self.sampling_rate / 2:
                raise CorpusError(
                    f"'{self.path}' cannot have {frequency:g} Hz filtered out: expected signal.notch below half its "
                    f"sampling rate, {self.sampling_rate / 2:g} Hz, found {frequency:g} Hz."
                )
            signal_CT = filtfilt(*iirnotch(frequency, _NOTCH_QUALITY, self.sampling_rate), signal_CT)
        return signal_CT

    def _factor(self, channel: Channel) -> float:
        """What MNE's volts are to be multiplied by."""
        if channel.unit is None:
            return self.spec.scale or 1.0
        volts = volts_in(channel.unit)
        return (volts if volts is not None else self.spec.scale or 1.0) / channel.gain

    def _check_units(self, signal_CT: NDArray[np.float64]) -> None:
        low, high = _PLAUSIBLE_UV
        for channel, spread in zip(self.taken, signal_CT.std(axis=1).tolist(), strict=True):
            # a channel that never changes is refused as such
            if spread and not low <= spread <= high and np.isfinite(spread):
                stated = channel.unit is not None and volts_in(channel.unit) is not None
                raise CorpusError(
                    f"'{self.path}' cannot be in the unit that it states: expected EEG that varies by {low:g} to "
                    f"{high:g} µV, found {spread:.3g} µV in channel {channel.name}.",
                    f"its unit is stated as {channel.unit}, and signal.scale does not apply: correct the recording, or "
                    "leave the channel out with signal.drop."
                    if stated
                    else "signal.scale is a factor that puts the unit right.",
                )


def open_signal(layout: LayoutSpec, root: Path, file: str) -> SignalSource:
    """A recording, and the channels of it that a layout takes.

    Raises
    ------
    CorpusError
        If it cannot be read, or a channel is missing, there twice, of another sampling rate, or states no voltage.
    """
    path, recordings, spec = root / file, layout.recordings, layout.signal
    channels, raw = described(layout, root, file)
    choice = _choose(layout, channels, path)
    positions, note = list(range(len(channels))), ""
    header = edf_header(path, recordings)
    if header is not None:
        part, positions = _edf_part(header, channels, choice, path)
        raw, note = open_recording(root, file, recordings, part), header.note
    rate = float(raw.info["sfreq"])
    if spec.sampling_rate is not None and abs(rate / spec.sampling_rate - 1) < _ROUNDED:
        rate = spec.sampling_rate
    elif spec.sampling_rate is not None:
        raise CorpusError(
            f"'{path}' has another sampling rate: expected {spec.sampling_rate:g} Hz as the layout says, found "
            f"{rate:g} Hz.",
            "without signal.sampling_rate the features of each recording are computed at its own rate.",
        )
    picks, reference_picks = ([positions[index] for index in part] for part in (choice.picks, choice.reference_picks))
    taken = [channels[index] for index in (*choice.picks, *choice.reference_picks)]
    notes = tuple(f"{path.name}: {text}" for text in (note, *_doubts(taken)) if text)
    return SignalSource(
        raw, path, choice.names, picks, reference_picks, spec, tuple(taken), choice.left_out, notes, rate
    )


def described(layout: LayoutSpec, root: Path, file: str) -> tuple[list[Channel], Any]:
    """The channels of a recording, and the recording where it had to be opened to know them."""
    path, spec = root / file, layout.recordings
    parts_of(root, file, spec)
    header, raw = edf_header(path, spec), None
    if header is None:
        raw = open_recording(root, file, spec, sampling_rate=layout.signal.sampling_rate)
        channels: list[Channel] = guarded(path, lambda: raw_channels(raw, path))
    else:
        channels = edf_channels(header, bids=spec.bids is not None)
    return channels if spec.bids is None else with_bids(channels, root, file), raw


@dataclass(frozen=True)
class _Choice:
    """Which channels are taken.

    Parameters
    ----------
    names : tuple of str
        Their names in the table.
    picks, reference_picks : list of int
        Where they are among all channels, and where the reference channels are.
    left_out : tuple of LeftOut
        What is not taken because it is no EEG.
    """

    names: tuple[str, ...]
    picks: list[int]
    reference_picks: list[int]
    left_out: tuple[LeftOut, ...]


def _choose(layout: LayoutSpec, channels: list[Channel], path: Path) -> _Choice:
    spec = layout.signal
    own = [channel.name for channel in channels]
    names = [spec.rename.get(name, name) for name in own]
    codes = layout.trials.channel if isinstance(layout.trials, StatusTrials) else None
    wanted = spec.channels or ()
    left_out: dict[str, list[str]] = defaultdict(list)
    if spec.channels is None:
        for channel, name in zip(channels, names, strict=True):
            if name in spec.drop or name in spec.reference_channels:
                continue
            if why := why_no_eeg(channel, name):
                left_out[why] += [name or "''"] if channel.name != codes else []
            else:
                wanted = (*wanted, name)
    _check_names(wanted, spec, names, path)
    picks, reference_picks = [[names.index(name) for name in part] for part in (wanted, spec.reference_channels)]
    for channel in (channels[index] for index in (*picks, *reference_picks)):
        if channel.unit is not None and volts_in(channel.unit) is None and spec.scale is None:
            raise CorpusError(
                f"'{path}' states no voltage for {channel.name}: expected {' or '.join(MICROVOLTS)}, found "
                f"{channel.unit!r}.",
                "signal.scale: 1e-6 if the numbers are µV, 1e-3 if they are mV, 1 if they are V; signal.drop leaves it "
                "out if it is no EEG.",
            )
    return _Choice(
        wanted,
        picks,
        reference_picks,
        tuple(LeftOut(where=".", what=_listed(each), why=why) for why, each in left_out.items() if each),
    )


def _check_names(wanted: tuple[str, ...], spec: SignalSpec, names: list[str], path: Path) -> None:
    """Raise a `CorpusError` unless each channel that is taken is there, and once."""
    if not wanted:
        raise CorpusError(
            f"'{path}' has no EEG: expected channels that it says are EEG, found {', '.join(names)}.",
            "name them in signal.channels.",
        )
    count, folded = Counter(names), Counter(name.lower() for name in dict.fromkeys(wanted))
    for name in (*wanted, *spec.reference_channels):
        if count[name] != 1:
            guess = nearest(name, names)
            raise CorpusError(
                f"'{path}' has channel {name} {count[name]} times: expected it once, found {', '.join(names)}.",
                f"did you mean {guess!r}?"
                if guess and not count[name]
                else "signal.drop leaves it out; signal.rename gives channels other names."
                if count[name]
                else "signal.rename gives channels other names.",
            )
        if folded[name.lower()] > 1:
            alike = ", ".join(other for other in wanted if other.lower() == name.lower())
            raise CorpusError(
                f"'{path}' has channels that differ in capitals alone: expected names that differ, found {alike}.",
                "signal.rename gives channels other names, signal.drop leaves them out.",
            )


def _edf_part(header: EdfHeader, channels: list[Channel], choice: _Choice, path: Path) -> tuple[EdfPart, list[int]]:
    """What is opened of an EDF or BDF file, each of whose signals has a rate of its own, and where channels then are.

    Beside those that are taken, all others of their rate are opened, for messages.
    """
    places = [place for place, signal in enumerate(header.signals) if not signal.is_annotations]
    taken = [*choice.picks, *choice.reference_picks]
    rate = header.signals[places[taken[0]]].samples_per_record
    for signal in (header.signals[places[index]] for index in taken):
        if signal.fault:
            raise CorpusError(signal.fault, "signal.drop leaves it out.")
        if signal.samples_per_record != rate:
            raise CorpusError(
                f"'{path}' has EEG of several sampling rates: expected {rate} samples of {signal.label} in a record as "
                f"of {header.signals[places[taken[0]]].label}, found {signal.samples_per_record}.",
                "signal.channels takes those of one rate, signal.drop leaves others out.",
            )
    names = {places[index]: channels[index].name for index in taken}
    for place, channel in zip(places, channels, strict=True):
        signal = header.signals[place]
        if signal.samples_per_record == rate and not signal.fault and channel.name not in ("", *names.values()):
            names[place] = channel.name
    opened = sorted(names)
    return EdfPart(header, names), [opened.index(place) if place in names else -1 for place in places]


def _doubts(taken: list[Channel]) -> Iterator[str]:
    if bad := [channel.name for channel in taken if channel.bad]:
        yield f"marked as bad and taken all the same: {', '.join(bad)}"
    if odd := [channel.name for channel in taken if channel.kind == "eeg" and is_no_eeg_by_name(channel.name)]:
        yield f"no EEG by name, and taken because the recording says that it is EEG: {', '.join(odd)}"
    if other := [f"{channel.name} ({channel.unit}, {channel.other_unit})" for channel in taken if channel.other_unit]:
        yield f"in the unit of the recording, and not in that of channels.tsv: {', '.join(other)}"


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return f"channel{'s' if len(names) > 1 else ''} {', '.join(names[:_MOST_NAMED])}{more}"
