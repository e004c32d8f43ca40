"""The signal of a recording's channels: chosen, in µV, referenced, a trial at a time."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scmmlab.corpora.edf import VOLT_UNITS, read_edf_header
from scmmlab.corpora.lab.formats import eeg_channels, read_segment
from scmmlab.corpora.lab.layout import SignalSpec
from scmmlab.errors import CorpusError, nearest

MOST_VALUES = 2**27
"""Samples of all channels together that are read at a time: 1 GiB."""
_NOTCH_QUALITY = 30.0
"""Centre over width of a notch: 1.7 Hz at 50 Hz."""
_PLAUSIBLE_UV = (0.05, 50_000.0)
"""Standard deviation of an EEG channel, drifts of electrodes included; a wrong unit is off by a thousand or more."""


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
    """

    raw: Any
    path: Path
    channels: tuple[str, ...]
    picks: list[int]
    reference_picks: list[int]
    spec: SignalSpec

    @property
    def sampling_rate(self) -> float:
        """In Hz."""
        return float(self.raw.info["sfreq"])

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
        signal_CT = read_segment(self.raw, picks, start, stop, self.path) * (self.spec.scale or 1.0) * 1e6
        taken_CT, reference_CT = signal_CT[: len(self.picks)], signal_CT[len(self.picks) :]
        if self.reference_picks:
            taken_CT = taken_CT - reference_CT.mean(axis=0)
        elif self.spec.reference == "average":
            taken_CT = taken_CT - taken_CT.mean(axis=0)
        # amplifiers without a high-pass have offsets of tens of mV, which would cost the filters digits
        taken_CT -= taken_CT.mean(axis=1, keepdims=True)
        self._check_unit(taken_CT)
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

    def _check_unit(self, signal_CT: NDArray[np.float64]) -> None:
        spread = float(np.median(signal_CT.std(axis=1)))
        low, high = _PLAUSIBLE_UV
        if spread and not low <= spread <= high and np.isfinite(spread):
            raise CorpusError(
                f"'{self.path}' cannot be in the unit that it states: expected EEG that varies by {low:g} to {high:g} "
                f"µV, found {spread:.3g} µV.",
                "signal.scale is a factor that puts the unit right.",
            )


def choose_channels(spec: SignalSpec, raw: Any, path: Path) -> SignalSource:
    """The channels of a recording that a layout takes.

    Raises
    ------
    CorpusError
        If one is missing, there twice, of another sampling rate than the layout says, or states no unit.
    """
    rate = float(raw.info["sfreq"])
    if spec.sampling_rate is not None and rate != spec.sampling_rate:
        raise CorpusError(
            f"'{path}' has another sampling rate: expected {spec.sampling_rate:g} Hz as the layout says, found "
            f"{rate:g} Hz."
        )
    names = [spec.rename.get(name, name) for name in raw.ch_names]
    wanted: tuple[str, ...]
    if spec.channels is None:
        left_out = {*spec.drop, *spec.reference_channels}
        eeg = [names[index] for index in eeg_channels(raw, path)]
        wanted = tuple(name for name in eeg if name not in left_out)
    else:
        wanted = spec.channels
    count = Counter(names)
    for name in (*wanted, *spec.reference_channels):
        if count[name] != 1:
            guess = nearest(name, names)
            raise CorpusError(
                f"'{path}' has channel {name} {count[name]} times: expected it once, found {', '.join(names)}.",
                f"did you mean {guess!r}?"
                if guess and not count[name]
                else "signal.rename gives channels other names.",
            )
    if not wanted:
        raise CorpusError(
            f"'{path}' has no EEG: expected channels that it says are EEG, found {', '.join(names)}.",
            "name them in signal.channels.",
        )
    picks, reference_picks = [[names.index(name) for name in part] for part in (wanted, spec.reference_channels)]
    if path.suffix.lower() in (".edf", ".bdf"):
        _check_edf(spec, raw, path, picks + reference_picks)
    return SignalSource(raw, path, wanted, picks, reference_picks, spec)


def _check_edf(spec: SignalSpec, raw: Any, path: Path, picks: list[int]) -> None:
    """Each signal of an EDF or BDF file has a unit and a sampling rate of its own."""
    signals = [each for each in read_edf_header(path).signals if not each.label.endswith(" Annotations")]
    if len(signals) != len(raw.ch_names):
        return
    fastest = max(signal.samples_per_record for signal in signals)
    for signal in (signals[pick] for pick in picks):
        if spec.scale is None and signal.unit not in VOLT_UNITS:
            raise CorpusError(
                f"'{path}' states no voltage for {signal.label}: expected {' or '.join(VOLT_UNITS)}, found "
                f"{signal.unit!r}.",
                "signal.scale: 1e-6 if the numbers are µV, 1e-3 if they are mV, 1 if they are V.",
            )
        if signal.samples_per_record != fastest:
            raise CorpusError(
                f"'{path}' has signals of several sampling rates: expected {fastest} samples of {signal.label} in a "
                f"record as of the fastest signal, found {signal.samples_per_record}."
            )
