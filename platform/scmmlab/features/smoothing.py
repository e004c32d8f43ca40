"""Smoothing of features along one trial; never call it on more than one trial at a time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def moving_average(features: NDArray[np.float64], windows: int = 5) -> NDArray[np.float64]:
    """The mean of each window and those before it, `windows` in all (fewer at the trial's start).

    Parameters
    ----------
    features : array, shape=(n_windows, ...)
        Features of one trial in time order.
    windows : int
        Length of the average.

    Returns
    -------
    array, shape=(n_windows, ...)
        The smoothed features; none looks ahead.
    """
    sums = np.cumsum(features, axis=0)
    sums[windows:] -= sums[:-windows].copy()
    counts = np.minimum(np.arange(1, len(features) + 1), windows)
    averaged: NDArray[np.float64] = sums / counts.reshape(-1, *(1,) * (features.ndim - 1))
    return averaged


def lds(
    features: NDArray[np.float64],
    process_variance: float = 1e-4,
    observation_variance: float = 1.0,
    prior_variance: float = 0.01,
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

    Returns
    -------
    array, shape=(n_windows, ...)
        The filtered means; none looks ahead.
    """
    smoothed = np.array(features, dtype=np.float64)
    # the first state is the first window, so that the first update changes its variance alone
    variance = prior_variance * observation_variance / (prior_variance + observation_variance)
    for window in range(1, len(smoothed)):
        # predict:  P⁻ = P + Q;   update:  K = P⁻ / (P⁻ + R),   μ = μ + K (x − μ),   P = (1 − K) P⁻
        predicted = variance + process_variance
        gain = predicted / (predicted + observation_variance)
        smoothed[window] = smoothed[window - 1] + gain * (features[window] - smoothed[window - 1])
        variance = (1 - gain) * predicted
    return smoothed
