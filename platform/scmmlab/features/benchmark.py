"""How fast raw recordings become features here, beside plain MNE doing the same, and beside torcheeg."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from scmmlab.features.bands import DEFAULT_BANDS
from scmmlab.features.benchmark_torcheeg import benchmark_torcheeg
from scmmlab.features.extraction import FeatureSpec, extract_features

SAMPLING_RATE = 200.0
CHANNELS = 62
SECONDS = 240
"""A trial of SEED."""


def plain_mne(signal_CT: NDArray[np.float64], sampling_rate: float, spec: FeatureSpec) -> NDArray[np.float64]:
    """Differential entropy by MNE's filter, one band after the other, in float64.

    The same filter as ours, padding included, so that the numbers are the same.
    """
    import mne

    samples = round(spec.window_s * sampling_rate)
    windows = signal_CT.shape[1] // samples
    bands = []
    for low, high in spec.bands.values():
        filtered_CT = mne.filter.filter_data(
            signal_CT,
            sampling_rate,
            low,
            high,
            method="iir",
            iir_params={
                "order": spec.filter_order,
                "ftype": "butter",
                "output": "sos",
                "padlen": 3 * (2 * spec.filter_order + 1),
            },
            verbose="ERROR",
        )
        cut_CWN = filtered_CT[:, : windows * samples].reshape(len(signal_CT), windows, samples)
        bands.append(0.5 * np.log(2 * np.pi * np.e * cut_CWN.var(axis=-1)).T)
    return np.stack(bands, axis=-1)


def benchmark_features(seconds: int = SECONDS, repeats: int = 5, torcheeg: str | None = None) -> dict[str, object]:
    """Windows a second from raw to differential entropy, ours and plain MNE's, and how far apart their numbers are.

    The largest relative difference is that of one value of differential entropy, over all windows, channels and bands.

    Parameters
    ----------
    seconds : int
        Length of the signal, of 62 channels at 200 Hz.
    repeats : int
        Of which the fastest counts, the two taking turns, both on one thread.
    torcheeg : str | None
        See `benchmark_torcheeg`.
    """
    rng = np.random.default_rng(0)
    white_CT = rng.normal(0, 20, (CHANNELS, seconds * int(SAMPLING_RATE)))
    # drifts and slow waves stand above fast ones, as in EEG
    signal_CT = white_CT + np.cumsum(white_CT, axis=1) * 0.05
    spec = FeatureSpec(bands=DEFAULT_BANDS)
    spans = [(0, signal_CT.shape[1])]
    ways: dict[str, Callable[[], NDArray[np.floating]]] = {
        "windows_per_second": lambda: extract_features(signal_CT, SAMPLING_RATE, spans, spec)[0],
        "plain_mne_windows_per_second": lambda: plain_mne(signal_CT, SAMPLING_RATE, spec),
    }
    # the first call of each also imports and plans
    ours, theirs = (way().astype(np.float64) for way in ways.values())
    least = dict.fromkeys(ways, np.inf)
    for _ in range(repeats):
        for name, way in ways.items():
            start = time.perf_counter()
            way()
            least[name] = min(least[name], time.perf_counter() - start)
    rates = {name: seconds / spent for name, spent in least.items()}
    return {
        **rates,
        "speed_ratio": rates["windows_per_second"] / rates["plain_mne_windows_per_second"],
        "largest_relative_difference": float(np.max(np.abs(ours - theirs) / np.abs(theirs))),
        "whole_process": benchmark_torcheeg(signal_CT, SAMPLING_RATE, torcheeg),
    }
