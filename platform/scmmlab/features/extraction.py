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
from scmmlab.features.differential_entropy import differential_entropy, gaussian_entropy
from scmmlab.features.smoothing import lds, moving_average
from scmmlab.features.zero_phase import zero_phase_bands

EXTRACTION_VERSION = 3
"""Raised whenever the same signal would give other features, so that tables made before are known to be stale."""

VALUES_AT_A_TIME = 2**20
"""Samples, of all channels together, that are filtered at a time: 8 MiB."""
QUIET = 1 / 100
"""Share of a channel's amplitude below which a window is quiet. Single precision leaves an error of the same size in
all windows, which would show in the entropy of such a one (above 1e-5 nat): its channel is done in double precision."""
CHANNELS_ABREAST = 4
"""Channels are filtered in multiples of so many: so many transforms in single precision run in one register."""


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
    kept: Sequence[NDArray[np.bool_]] | None = None,
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
    kept : sequence of array of bool, shape=(n_windows,), optional
        Which windows of each trial are wanted; all of them when absent. The others bear on no other by smoothing.

    Returns
    -------
    list of array, shape=(n_windows, n_channels, n_bands)
        The features of each trial's windows that are wanted, float32.

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
    group = max(1, VALUES_AT_A_TIME // times // CHANNELS_ABREAST) * CHANNELS_ABREAST
    for first in range(0, channels, group):
        rows_CT = signal_CT[first : first + group]
        parts, quiet_C = _entropies(rows_CT, sampling_rate, spans, spec, single=True)
        if quiet_C.any():
            precise, _ = _entropies(rows_CT[quiet_C], sampling_rate, spans, spec, single=False)
            for part_WCF, precise_WCF in zip(parts, precise, strict=True):
                part_WCF[:, quiet_C] = precise_WCF
        for features_WCF, part_WCF in zip(features, parts, strict=True):
            features_WCF[:, first : first + group] = part_WCF
    wanted = [np.ones(len(features_WCF), dtype=bool) for features_WCF in features] if kept is None else kept
    return [
        _smooth(features_WCF, spec, kept_W)[kept_W].astype(np.float32)
        for features_WCF, kept_W in zip(features, wanted, strict=True)
    ]


def kept_windows(
    span: tuple[int, int], bad: Sequence[tuple[int, int]], sampling_rate: float, spec: FeatureSpec
) -> NDArray[np.bool_]:
    """Which windows of a trial overlap none of some stretches, shape=(n_windows,).

    Parameters
    ----------
    span : (start, stop)
        The samples of the trial, half-open.
    bad : sequence of (start, stop)
        Those of the stretches.
    sampling_rate : float
        In Hz.
    spec : FeatureSpec
        How long a window is.
    """
    samples = _samples(spec.window_s, sampling_rate)
    starts = np.arange(span[0], span[1] - samples + 1, samples)
    kept = np.ones(len(starts), dtype=bool)
    for start, stop in bad:
        kept &= (starts >= stop) | (starts + samples <= start)
    return kept


def _entropies(
    signal_CT: NDArray[np.float64],
    sampling_rate: float,
    spans: Sequence[tuple[int, int]],
    spec: FeatureSpec,
    single: bool,
) -> tuple[list[NDArray[np.float64]], NDArray[np.bool_]]:
    """Entropies of each trial, shape=(n_windows, n_channels, n_bands), and which channels have a quiet window."""
    samples = _samples(spec.window_s, sampling_rate)
    channels, times = signal_CT.shape
    trials = [np.empty(((stop - start) // samples, channels, len(spec.bands))) for start, stop in spans]
    quiet_C = np.zeros(channels, dtype=bool)
    bands = zero_phase_bands(signal_CT, sampling_rate, list(spec.bands.values()), spec.filter_order, single)
    for band, filtered_CT in enumerate(bands):
        power_C = np.einsum("ct,ct->c", filtered_CT, filtered_CT).astype(np.float64) / times
        quiet_entropy_C = gaussian_entropy(QUIET**2 * power_C)
        for trial_WCF, (start, stop) in zip(trials, spans, strict=True):
            entropy_WC = differential_entropy(filtered_CT[:, start:stop], samples)
            quiet_C |= (entropy_WC < quiet_entropy_C).any(axis=0)
            trial_WCF[:, :, band] = entropy_WC
    return trials, quiet_C


def _samples(window_s: float, sampling_rate: float) -> int:
    samples = window_s * sampling_rate
    if abs(samples - round(samples)) > 1e-6:
        raise CorpusError(
            f"Invalid value for 'window_s': it must be a whole number of samples at {sampling_rate:g} Hz, got "
            f"{window_s:g} s, which is {samples:g} samples."
        )
    return round(samples)


def _smooth(features_WCF: NDArray[np.float64], spec: FeatureSpec, kept_W: NDArray[np.bool_]) -> NDArray[np.float64]:
    if spec.smoothing == "moving_average":
        return moving_average(features_WCF, spec.moving_average_windows, kept_W)
    if spec.smoothing == "lds":
        return lds(features_WCF, kept=kept_W)
    return features_WCF
