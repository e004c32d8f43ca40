"""A zero-phase Butterworth band-pass filter."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from scmmlab.features.zero_phase import zero_phase_bands


def band_pass(
    signal_CT: NDArray[np.float64], sampling_rate: float, low: float, high: float, order: int = 4
) -> NDArray[np.float64]:
    """Keep the part of a signal between two frequencies, without moving it in time.

    For several bands of one signal, `zero_phase_bands` does what they share once.

    Parameters
    ----------
    signal_CT : array, shape=(n_channels, n_times)
        The signal, one channel a row.
    sampling_rate : float
        In Hz.
    low, high : float
        The edges of the band in Hz.
    order : int
        Order of the Butterworth prototype (a band-pass of it has twice as many poles).

    Returns
    -------
    array, shape=(n_channels, n_times)
        The filtered signal, in the unit of the signal.

    Raises
    ------
    CorpusError
        If the signal is shorter than the padding.
    """
    (filtered_CT,) = zero_phase_bands(signal_CT, sampling_rate, [(low, high)], order)
    return filtered_CT.astype(np.float64, copy=False)
