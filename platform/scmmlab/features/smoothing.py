"""Smoothing of features along one trial; never call it on more than one trial at a time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def moving_average(
    features: NDArray[np.float64], windows: int = 5, kept: NDArray[np.bool_] | None = None
) -> NDArray[np.float64]:
    """The mean of each window and those before it, `windows` in all (fewer at the trial's start).

    Parameters
    ----------
    features : array, shape=(n_windows, ...)
        Features of one trial in time order.
    windows : int
        Length of the average.
    kept : array of bool, shape=(n_windows,), optional
        False where a window is missing: it counts in the length, and not in the mean.

    Returns
    -------
    array, shape=(n_windows, ...)
        The smoothed features; none looks ahead.
    """
    kept = np.ones(len(features), dtype=bool) if kept is None else kept
    sums = np.cumsum(_where(kept, features), axis=0)
    sums[windows:] -= sums[:-windows].copy()
    counts = np.cumsum(kept, dtype=np.int64)
    counts[windows:] -= counts[:-windows].copy()
    # where none of them is there, there is no mean, and nobody asks for it
    counts = np.maximum(counts, 1)
    averaged: NDArray[np.float64] = sums / counts.reshape(-1, *(1,) * (features.ndim - 1))
    return averaged


def lds(
    features: NDArray[np.float64],
    process_variance: float = 1e-4,
    observation_variance: float = 1.0,
    prior_variance: float = 0.01,
    kept: NDArray[np.bool_] | None = None,
) -> NDArray[np.float64]:
    """A linear dynamical system: the forward Kalman filter of a random walk seen through noise, per feature.

    Shi & Lu, "Off-line and on-line vigilance estimation based on linear dynamical system and manifold learning",
    EMBC 2010, with A = C = 1. The common port starts at the mean of the whole trial, which looks ahead; this one starts
    at the first window. Its steady gain of about 0.01 is a memory of about 100 windows, so that smoothed features
    become fingerprints of their trial.

    Parameters
    ----------
    features : array, shape=(n_windows, ...)
        Features of one trial in time order.
    process_variance, observation_variance, prior_variance : float
        Variances of a step of the walk, of the noise, and of the first state.
    kept : array of bool, shape=(n_windows,), optional
        False where a window is missing: the walk goes on unseen there.

    Returns
    -------
    array, shape=(n_windows, ...)
        The filtered means; none looks ahead.
    """
    kept = np.ones(len(features), dtype=bool) if kept is None else kept
    smoothed = np.array(_where(kept, features), dtype=np.float64)
    # the first state is the first window, so that the first update changes its variance alone
    variance = prior_variance * observation_variance / (prior_variance + observation_variance)
    for window in range(int(np.argmax(kept)) + 1, len(smoothed)):
        # predict:  P⁻ = P + Q;   update:  K = P⁻ / (P⁻ + R),   μ = μ + K (x − μ),   P = (1 − K) P⁻
        predicted = variance + process_variance
        gain = predicted / (predicted + observation_variance) if kept[window] else 0.0
        smoothed[window] = smoothed[window - 1] + gain * (smoothed[window] - smoothed[window - 1])
        variance = (1 - gain) * predicted
    return smoothed


def _where(kept: NDArray[np.bool_], features: NDArray[np.float64]) -> NDArray[np.float64]:
    """The features, with zeros where they are missing: whatever stands there, infinite values too, bears on nothing."""
    return features if kept.all() else np.where(kept.reshape(-1, *(1,) * (features.ndim - 1)), features, 0.0)
