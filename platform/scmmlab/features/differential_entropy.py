"""Differential entropy (DE) of band-passed EEG: the logarithm of its power, window by window."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FORM = "0.5*ln(2*pi*e*variance)"
"""How DE is computed here. Other works use log2, or the energy of a short-time Fourier transform."""
LOG_BASE = "e"
UNIT = "nat, of a signal in µV"


def differential_entropy(signal_CT: NDArray[np.floating], samples_per_window: int) -> NDArray[np.float64]:
    """Differential entropy of each channel in consecutive windows, as if the samples of a window were Gaussian.

    Duan, Zhu & Lu, "Differential entropy feature for EEG-based emotion classification", NER 2013, eq. 3.

    Parameters
    ----------
    signal_CT : array, shape=(n_channels, n_times)
        A band-passed signal in µV. Samples that do not fill a last window are left out.
    samples_per_window : int
        Length of a window.

    Returns
    -------
    array, shape=(n_windows, n_channels)
        DE in nats; −inf where a window is constant.
    """
    channels, times = signal_CT.shape
    windows = times // samples_per_window
    cut_CWN = signal_CT[:, : windows * samples_per_window].reshape(channels, windows, samples_per_window)
    # deviations once, squared in place; `sum` adds pairwise, so that single precision keeps its digits
    squares_CWN = cut_CWN - cut_CWN.mean(axis=-1, keepdims=True)
    squares_CWN *= squares_CWN
    variance_CW = squares_CWN.sum(axis=-1).astype(np.float64) / samples_per_window
    with np.errstate(divide="ignore"):
        # h = ½ ln(2πe σ²), σ² the mean squared deviation from the window's mean (divided by n, not n − 1)
        entropy_CW = 0.5 * np.log(2 * np.pi * np.e * variance_CW)
    return np.ascontiguousarray(entropy_CW.T)
