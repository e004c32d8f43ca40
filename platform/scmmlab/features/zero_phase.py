"""One signal through several zero-phase Butterworth filters: the numbers of `sosfiltfilt` in a fraction of its time.

A recursion leaves a processor waiting for its own last result, sample by sample, twice a band. Away from the ends, what
it gives is a convolution: one Fourier transform of the signal serves all bands, each of which then costs one transform
back. Near the ends, where the recursion's start matters, the recursion itself is run.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from scmmlab.errors import CorpusError

NEGLIGIBLE = 1e-8
"""What is left of an impulse where it counts as gone."""

Sections = tuple[tuple[float, ...], ...]


class ZeroPhaseFilters:
    """A signal, ready to be filtered to bands.

    A filter runs forwards and then backwards over the signal, which cancels its phase and squares its gain: −6 dB at
    the two edges, and the slopes of a filter of twice the order. Both ends are padded by an odd reflection, so that
    what the filter needs beyond an end is guessed: the first and last windows of a recording carry that guess.

    Parameters
    ----------
    signal_CT : array, shape=(n_channels, n_times)
        The signal, one channel a row.
    sampling_rate : float
        In Hz.
    order : int
        Order of the Butterworth prototype (a band-pass of it has twice as many poles).

    Raises
    ------
    CorpusError
        If the signal is shorter than the padding.
    """

    def __init__(self, signal_CT: NDArray[np.float64], sampling_rate: float, order: int = 4):
        # `order` sections, two poles each
        self.padding = 3 * (2 * order + 1)
        if signal_CT.shape[-1] <= self.padding:
            raise CorpusError(
                f"The signal is too short to be filtered: expected more than {self.padding} samples, found "
                f"{signal_CT.shape[-1]}."
            )
        first, last = signal_CT[:, :1], signal_CT[:, -1:]
        before = 2 * first - signal_CT[:, self.padding : 0 : -1]
        after = 2 * last - signal_CT[:, -2 : -self.padding - 2 : -1]
        # no band has 0 Hz in it; an electrode's offset of millivolts would only cost digits
        self._padded_CT = np.concatenate([before, signal_CT, after], axis=1) - first
        self._sampling_rate = sampling_rate
        self._order = order
        self._spectrum_CQ: NDArray[np.complex128] | None = None

    def band(self, low: float, high: float, single: bool = False) -> NDArray[np.floating]:
        """The part of the signal between two frequencies.

        Parameters
        ----------
        low, high : float
            In Hz.
        single : bool
            Whether single precision is enough for the result, which takes half the time where the signal is long. What
            is outside the band is removed before, in double precision, so that drifts cost no digits.

        Returns
        -------
        array, shape=(n_channels, n_times)
            In the unit of the signal.
        """
        # imported here, because those who only scale features should not wait for it
        from scipy.signal import sosfiltfilt

        sections = _sections(low, high, self._sampling_rate, self._order)
        end = _ringing(sections)
        times = self._padded_CT.shape[1]
        inside = slice(self.padding, times - self.padding)
        if times < 6 * end:
            alone: NDArray[np.float64] = sosfiltfilt(np.array(sections), self._padded_CT, axis=-1, padlen=0)[:, inside]
            return alone
        filtered_CT = self._convolved(sections, np.complex64 if single else np.complex128)
        # twice `end` samples, of which those nearer to the signal's own end know nothing of where they were cut
        edges_CT = np.concatenate([self._padded_CT[:, : 2 * end], self._padded_CT[:, -2 * end :]])
        start_CT, stop_CT = np.split(sosfiltfilt(np.array(sections), edges_CT, axis=-1, padlen=0), 2)
        filtered_CT[:, :end] = start_CT[:, :end]
        filtered_CT[:, -end:] = stop_CT[:, -end:]
        return filtered_CT[:, inside]

    def _convolved(self, sections: Sections, dtype: type[np.complexfloating]) -> NDArray[np.floating]:
        from scipy.fft import irfft, next_fast_len, rfft

        times = self._padded_CT.shape[1]
        count = next_fast_len(times, real=True)
        if self._spectrum_CQ is None:
            self._spectrum_CQ = rfft(self._padded_CT, n=count, axis=1)
        product_CQ = np.empty(self._spectrum_CQ.shape, dtype)
        np.multiply(self._spectrum_CQ, _squared_gain(sections, count), out=product_CQ, casting="same_kind")
        filtered_CT: NDArray[np.floating] = irfft(product_CQ, n=count, axis=1, overwrite_x=True)[:, :times]
        return filtered_CT


@lru_cache(maxsize=64)
def _sections(low: float, high: float, sampling_rate: float, order: int) -> Sections:
    from scipy.signal import butter

    # second-order sections: as one polynomial, delta's poles (1 Hz in 500) would cancel to nothing in float64
    sections = butter(order, (low, high), btype="bandpass", fs=sampling_rate, output="sos")
    return tuple(tuple(map(float, section)) for section in sections)


@lru_cache(maxsize=64)
def _ringing(sections: Sections) -> int:
    """Samples after which an impulse is gone."""
    from scipy.signal import sos2zpk

    _, poles, _ = sos2zpk(np.array(sections))
    # |p|^n = NEGLIGIBLE; a quarter more, because filtering twice gives n · |p|^n
    return int(np.ceil(1.25 * np.log(NEGLIGIBLE) / np.log(np.abs(poles).max())))


@lru_cache(maxsize=16)
def _squared_gain(sections: Sections, count: int) -> NDArray[np.float64]:
    """|H|² at the frequencies of a transform of `count` samples."""
    z = np.exp(-2j * np.pi * np.arange(count // 2 + 1) / count)
    gain: NDArray[np.float64] = np.ones(len(z))
    for b0, b1, b2, a0, a1, a2 in sections:
        gain = gain * np.abs((b0 + z * (b1 + z * b2)) / (a0 + z * (a1 + z * a2))) ** 2
    return gain
