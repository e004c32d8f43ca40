"""The whole way from a recording's signal to the features of its trials."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from scmmlab.config import Spec
from scmmlab.errors import CorpusError
from scmmlab.features.bands import DEFAULT_BANDS, check_bands
from scmmlab.features.differential_entropy import differential_entropy
from scmmlab.features.smoothing import lds, moving_average
from scmmlab.features.zero_phase import ZeroPhaseFilters

EXTRACTION_VERSION = 2
"""Raised whenever the same signal would give other features, so that tables made before are known to be stale."""

VALUES_AT_A_TIME = 2**22
"""Samples, of all channels together, that are filtered at a time: 32 MiB."""


class FeatureSpec(Spec):
    """How features are computed from a signal."""

    bands: dict[str, tuple[float, float]] = Field(DEFAULT_BANDS, min_length=1)
    """Band names and edges in Hz, in the order of the features."""
    window_s: float = Field(1.0, gt=0)
    """Length of a window in s; windows do not overlap."""
    filter_order: int = Field(4, ge=1, le=10)
    """Order of the Butterworth filter, which runs forwards and backwards (zero phase)."""
    smoothing: Literal["none", "moving_average", "lds"] = "none"
    """Smoothing along each trial."""
    moving_average_windows: int = Field(5, ge=1)
    """Length of the moving average, the window itself and those before it."""


def extract_features(
    signal_CT: NDArray[np.float64],
    sampling_rate: float,
    spans: Sequence[tuple[int, int]],
    spec: FeatureSpec,
) -> list[NDArray[np.float32]]:
    """Differential entropy per window, channel and band of each trial in a recording.

    The whole signal is filtered before it is cut, so that only the recording's own ends carry the filter's padding.

    Parameters
    ----------
    signal_CT : array, shape=(n_channels, n_times)
        In µV.
    sampling_rate : float
        In Hz.
    spans : sequence of (start, stop)
        The samples of each trial, half-open. Samples that do not fill a last window are left out.
    spec : FeatureSpec
        How features are computed.

    Returns
    -------
    list of array, shape=(n_windows, n_channels, n_bands)
        The features of each trial, float32.

    Raises
    ------
    CorpusError
        If a band or the window does not fit the sampling rate, or a trial is shorter than one window.
    """
    check_bands(spec.bands, sampling_rate)
    samples_per_window = _samples(spec.window_s, sampling_rate)
    for start, stop in spans:
        if stop - start < samples_per_window:
            raise CorpusError(
                f"A trial is shorter than a window: expected at least {spec.window_s:g} s, found "
                f"{(stop - start) / sampling_rate:g} s."
            )
    channels, times = signal_CT.shape
    features = [np.empty(((stop - start) // samples_per_window, channels, len(spec.bands))) for start, stop in spans]
    # a few channels at a time, so that next to the recording only a small part of it is in memory
    group = max(1, VALUES_AT_A_TIME // times)
    for first in range(0, channels, group):
        rows = slice(first, first + group)
        filters = ZeroPhaseFilters(signal_CT[rows], sampling_rate, spec.filter_order)
        for band, (low, high) in enumerate(spec.bands.values()):
            filtered_CT = filters.band(low, high, single=True)
            for features_WCF, (start, stop) in zip(features, spans, strict=True):
                features_WCF[:, rows, band] = differential_entropy(filtered_CT[:, start:stop], samples_per_window)
    return [_smooth(features_WCF, spec).astype(np.float32) for features_WCF in features]


def _samples(window_s: float, sampling_rate: float) -> int:
    samples = window_s * sampling_rate
    if abs(samples - round(samples)) > 1e-6:
        raise CorpusError(
            f"Invalid value for 'window_s': it must be a whole number of samples at {sampling_rate:g} Hz, got "
            f"{window_s:g} s, which is {samples:g} samples."
        )
    return round(samples)


def _smooth(features_WCF: NDArray[np.float64], spec: FeatureSpec) -> NDArray[np.float64]:
    if spec.smoothing == "moving_average":
        return moving_average(features_WCF, spec.moving_average_windows)
    if spec.smoothing == "lds":
        return lds(features_WCF)
    return features_WCF
