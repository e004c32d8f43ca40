"""What a signal is recognised by, wherever it stands again: in another format, under another name, or in part.

The field power of a signal, its standard deviation over channels, does not depend on the order, the names or the
reference of channels. Where it rises and falls, and by how much, is as good as a fingerprint, in time and ratio alone:
a gain changes nothing of it, rounding little, and it is the same in a piece that was cut out. A mark is a hash of a few
such steps in a row; only some are kept, chosen by the hash itself, so that the same ones are kept of an equal signal.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RATE = 200.0
"""In Hz, about what the signal is brought down to: field power does not change faster once it is smoothed."""
STEPS = 9
"""Steps from one extreme of field power to the next in a mark: 2 to 3 bits each in time and in ratio."""
TIME_S, RATIO = 0.02, 0.25
"""What times (in s) and logarithms of ratios are rounded to in a mark."""
LEAST_VARIED = 5
"""Different steps in a mark, or more: what repeats itself, as flicker or a test signal does, tells nothing."""
MOST_REPEATED = 0.2
"""Share of marks that stand in a trial more than once, above which all of it tells nothing: a generator's signal, a sum
of a few sinusoids, is the same in every recording of it. EEG has next to none."""
SHARE, LEAST_KEPT = 8, 32
"""One mark in so many is kept, and at least so many of a trial."""
LEAST_SHARED, LEAST_SHARE = 3, 0.05
"""Marks that two signals have in common where they are the same in part, and of how many of the shorter one's. Those of
two recordings have none in common, or one by chance; what rounding leaves is above 0.9, and a cut between the samples
that are summed, the worst that may happen to a copy, leaves 0.3."""
MOST_CHANNELS = 32
"""More would only take time."""
_LAG_S, _SMOOTH_S = 0.04, 0.05
_CHUNK = 1024


@dataclass(frozen=True, eq=False)
class SignalMarks:
    """What one trial is recognised by.

    Parameters
    ----------
    digest : str
        Hexadecimal, of the field power at every moment, or of features where there is no signal; equal where these are
        equal. Empty where there is nothing in the signal.
    marks : array of uint32
        In ascending order, each once; none of a trial that is too short, or of features.
    """

    digest: str
    marks: NDArray[np.uint32]

    def __str__(self) -> str:
        """In the form of the manifest, which `parse` reads."""
        return f"{self.digest}:{base64.b64encode(self.marks.astype('<u4').tobytes()).decode()}"

    @classmethod
    def parse(cls, text: str) -> SignalMarks:
        """What `str` gives these marks' text."""
        digest, _, marks = text.partition(":")
        return cls(digest, np.frombuffer(base64.b64decode(marks, validate=True), dtype="<u4").astype(np.uint32))

    @classmethod
    def of_signal(cls, signal_CT: NDArray[np.float64], sampling_rate: float, channels: Sequence[str]) -> SignalMarks:
        """Of a trial's signal, shape=(n_channels, n_times), in any unit."""
        if len(channels) > MOST_CHANNELS:
            # chosen by their names, whatever their order
            names = [hashlib.blake2b(name.lower().encode(), digest_size=8).digest() for name in channels]
            signal_CT = signal_CT[sorted(range(len(names)), key=names.__getitem__)[:MOST_CHANNELS]]
        step = max(1, round(sampling_rate / RATE))
        power_T = _field_power(signal_CT, step, sampling_rate)
        # of what is too short to have any, the signal itself
        values = power_T if len(power_T) else signal_CT
        return cls(_digest(values.astype("<f4")) if values.any() else "", _kept(_marks(power_T, sampling_rate / step)))

    @classmethod
    def of_features(cls, features: NDArray[np.float32]) -> SignalMarks:
        """Of a trial whose signal is not there."""
        return cls(_digest(features.astype("<f4")), np.zeros(0, dtype=np.uint32))


def same_signals(trials: Sequence[SignalMarks], groups: Sequence[int], cut: int = 0) -> list[tuple[int, int]]:
    """Pairs of trials of which one holds the signal of the other, or a part of it.

    Parameters
    ----------
    trials : sequence of SignalMarks
        The trials.
    groups : sequence of int
        Of which recording each is: what its trials share is counted together, as single ones may be too short.
    cut : int
        Where trials before this one are compared with those from it on, and not with each other; 0 compares all.

    Returns
    -------
    list of (int, int)
        Positions of trials, the earlier one first, in ascending order. Of recordings whose single trials are too short
        to be told, a pair that shares marks stands for all.
    """
    pairs: set[tuple[int, int]] = set()
    seen: dict[str, int] = {}
    for number, trial in enumerate(trials):
        if not trial.digest:
            continue
        first = seen.get(trial.digest, number)
        if not cut or number < cut:
            seen.setdefault(trial.digest, number)
        if first != number and number >= cut:
            pairs.add((first, number))
    count = len(trials)
    owner = np.repeat(np.arange(count), [len(trial.marks) for trial in trials])
    marks = np.concatenate([np.zeros(0, dtype=np.uint32), *(trial.marks for trial in trials)])
    order = np.lexsort((owner, marks))
    owner, marks = owner[order], marks[order]
    # neighbours alone, so that a mark that many have costs no more than one that two have
    alike = marks[1:] == marks[:-1]
    one, other = owner[:-1][alike], owner[1:][alike]
    across = (one < cut) & (other >= cut) if cut else one != other
    one, other = one[across], other[across]
    kept = np.array([len(trial.marks) for trial in trials], dtype=np.int64)
    pairs.update(_often(one * count + other, one, other, kept))
    _, of_group = np.unique(np.asarray(groups, dtype=np.int64), return_inverse=True)
    between = of_group[one] != of_group[other]
    one, other = one[between], other[between]
    by_group = of_group[one] * count + of_group[other]
    in_group = np.bincount(of_group, weights=kept, minlength=1).astype(np.int64)
    found = {(of_group[a], of_group[b]) for a, b in pairs}
    for a, b in _often(by_group, one, other, in_group[of_group]):
        if (of_group[a], of_group[b]) not in found:
            pairs.add((a, b))
    return sorted(pairs)


def _often(
    pair: NDArray[np.int64], one: NDArray[np.int64], other: NDArray[np.int64], kept: NDArray[np.int64]
) -> list[tuple[int, int]]:
    """The first trials of each pair that shares so many marks that it is no chance."""
    _, first, shared = np.unique(pair, return_index=True, return_counts=True)
    least = np.maximum(LEAST_SHARED, LEAST_SHARE * np.minimum(kept[one[first]], kept[other[first]]))
    return [(int(one[at]), int(other[at])) for at in first[shared >= least]]


def _digest(values: NDArray[np.float32]) -> str:
    return hashlib.blake2b(np.ascontiguousarray(values).data, digest_size=8).hexdigest()


def _field_power(signal_CT: NDArray[np.float64], step: int, sampling_rate: float) -> NDArray[np.float32]:
    """Variance over channels of the change from one stretch of 40 ms to the next: drifts and mains of 50 Hz cancel."""
    lag = max(1, round(_LAG_S * sampling_rate / step))
    # a mean over some 40 ms, as sums of neighbours, of sums of neighbours, …
    widths = [2**power for power in range(lag.bit_length() - 1)]
    margin = lag + sum(widths)
    channels, times = len(signal_CT), signal_CT.shape[1] // step
    power_T = np.zeros(max(0, times - margin), dtype=np.float32)
    # in pieces that stay in a processor's cache, and in single precision: it takes a few percent of what features do
    for start in range(0, times - margin, _CHUNK):
        stop = min(start + _CHUNK + margin, times)
        piece_CT = signal_CT[:, start * step : stop * step]
        smooth_CT = piece_CT[:, ::step].astype(np.float32)
        for offset in range(1, step):
            smooth_CT += piece_CT[:, offset::step]
        for width in widths:
            smooth_CT = smooth_CT[:, width:] + smooth_CT[:, :-width]
        change_CT = smooth_CT[:, lag:] - smooth_CT[:, :-lag]
        square_T = np.einsum("ct,ct->t", change_CT, change_CT) / channels
        # of one channel alone, which has no variance over channels, the square
        mean_T = change_CT.sum(axis=0) / channels if channels > 1 else np.float32(0)
        power_T[start : start + _CHUNK] = square_T - mean_T**2
    return power_T


def _marks(power_T: NDArray[np.float32], rate: float) -> NDArray[np.uint32]:
    smooth = max(1, round(_SMOOTH_S * rate))
    if len(power_T) < 2 * smooth + STEPS:
        return np.zeros(0, dtype=np.uint32)
    box = np.ones(smooth) / smooth
    smooth_T = np.convolve(power_T.astype(np.float64), np.convolve(box, box), mode="valid")
    # what is not a number comes of stretches without any signal, and is no extreme
    log_T = np.log(np.where(smooth_T > 0, smooth_T, np.nan)) / 2
    rise_T = np.diff(log_T)
    (at,) = np.nonzero(rise_T[1:] * rise_T[:-1] < 0)
    if len(at) <= STEPS:
        return np.zeros(0, dtype=np.uint32)
    # a parabola through each extreme and its neighbours gives its moment and its value between samples
    bend = rise_T[at + 1] - rise_T[at]
    moment = (at + 0.5 - rise_T[at] / bend) / rate
    value = log_T[at + 1] - (rise_T[at] + rise_T[at + 1]) ** 2 / (8 * bend)
    steps = np.stack([np.rint(np.diff(moment) / TIME_S), np.rint(np.diff(value) / RATIO)], axis=1).astype(np.int64)
    codes = ((steps[:, 0] & 0xFFFF) << 16 | (steps[:, 1] & 0xFFFF)).astype(np.uint64)
    rows = np.lib.stride_tricks.sliding_window_view(codes, STEPS)
    varied = 1 + (np.diff(np.sort(rows, axis=1), axis=1) != 0).sum(axis=1)
    rows = rows[varied >= LEAST_VARIED]
    # a polynomial of odd multiplier modulo 2⁶⁴, then the finaliser of MurmurHash3, whose upper half is evenly spread
    hashed = np.zeros(len(rows), dtype=np.uint64)
    for column in rows.T:
        hashed = (hashed ^ column) * np.uint64(0x9E3779B97F4A7C15)
        hashed ^= hashed >> np.uint64(29)
    hashed = (hashed ^ (hashed >> np.uint64(33))) * np.uint64(0xFF51AFD7ED558CCD)
    return (hashed >> np.uint64(32)).astype(np.uint32)


def _kept(marks: NDArray[np.uint32]) -> NDArray[np.uint32]:
    marks, times = np.unique(marks, return_counts=True)
    if times[times > 1].sum() > MOST_REPEATED * times.sum():
        return marks[:0]
    return marks[: max(int(np.searchsorted(marks, 2**32 // SHARE)), LEAST_KEPT)]
