"""A zero-phase Butterworth band-pass filter."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from scmmlab.errors import CorpusError


def band_pass(
    signal_CT: NDArray[np.float64], sampling_rate: float, low: float, high: float, order: int = 4
) -> NDArray[np.float64]:
    """Keep the part of a signal between two frequencies, without moving it in time.

    The filter runs forwards and then backwards over the signal, which cancels its phase and squares its gain: −6 dB
    at the two edges, and the slopes of a filter of twice the order. Both ends are padded by an odd reflection, so
    that what the filter needs beyond an end is guessed: the first and last windows of a recording carry that guess.

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
    # imported here, because those who only scale features should not wait for it
    from scipy.signal import butter, sosfiltfilt

    # second-order sections: as one polynomial, delta's poles (1 Hz in 500) would cancel to nothing in float64
    sections = butter(order, (low, high), btype="bandpass", fs=sampling_rate, output="sos")
    padding = 3 * (2 * len(sections) + 1)
    if signal_CT.shape[-1] <= padding:
        raise CorpusError(
            f"The signal is too short to be filtered: expected more than {padding} samples, found "
            f"{signal_CT.shape[-1]}."
        )
    filtered: NDArray[np.float64] = sosfiltfilt(sections, signal_CT, axis=-1, padlen=padding)
    return filtered
