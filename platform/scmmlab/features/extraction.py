"""The whole way from a recording's signal to the features of its trials."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from scmmlab.config import Spec
from scmmlab.errors import CorpusError
from scmmlab.features.band_filter import band_pass
from scmmlab.features.bands import DEFAULT_BANDS, check_bands
from scmmlab.features.differential_entropy import differential_entropy
from scmmlab.features.smoothing import lds, moving_average

EXTRACTION_VERSION = 1
"""Raised whenever the same signal would give other features, so that tables made before are known to be stale."""


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
    # band by band, so that one filtered copy of the recording is in memory at a time
    by_band = []
    for low, high in spec.bands.values():
        filtered_CT = band_pass(signal_CT, sampling_rate, low, high, spec.filter_order)
        by_band.append([differential_entropy(filtered_CT[:, start:stop], samples_per_window) for start, stop in spans])
    return [_smooth(np.stack(bands_WC, axis=-1), spec).astype(np.float32) for bands_WC in zip(*by_band, strict=True)]


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
