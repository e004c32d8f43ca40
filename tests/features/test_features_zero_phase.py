"""The fast filters give the numbers of the recursion, whatever the signal's length."""

import numpy as np
import pytest
from scipy.signal import butter, sosfiltfilt

from scmmlab.features import DEFAULT_BANDS
from scmmlab.features.benchmark import benchmark_features, plain_mne
from scmmlab.features.extraction import FeatureSpec, extract_features
from scmmlab.features.zero_phase import ZeroPhaseFilters

RATE = 200.0


def drifting(seconds, offset=0.0):
    noise = np.random.default_rng(3).normal(0, 20, (3, round(seconds * RATE)))
    return noise + np.cumsum(noise, axis=1) + offset


def by_recursion(signal, low, high):
    sections = butter(4, (low, high), btype="bandpass", fs=RATE, output="sos")
    return sosfiltfilt(sections, signal, axis=-1, padlen=27)


@pytest.mark.parametrize("seconds", [0.5, 20, 61.115, 240])
@pytest.mark.parametrize("offset", [0.0, 1e5])
def test_each_band_is_that_of_the_recursion(seconds, offset):
    signal = drifting(seconds, offset)
    filters = ZeroPhaseFilters(signal, RATE)
    for low, high in DEFAULT_BANDS.values():
        # without its offset, which costs the recursion digits
        expected = by_recursion(signal - offset, low, high)
        scale = expected.std()
        np.testing.assert_allclose(filters.band(low, high), expected, rtol=0, atol=3e-6 * scale)
        np.testing.assert_allclose(filters.band(low, high, single=True), expected, rtol=0, atol=1e-5 * scale)


def test_features_do_not_depend_on_how_many_channels_are_filtered_at_a_time(monkeypatch):
    signal = np.vstack([drifting(100), drifting(100)[::-1] + 1])
    whole = extract_features(signal, RATE, [(100, 9000)], FeatureSpec())[0]
    monkeypatch.setattr("scmmlab.features.extraction.VALUES_AT_A_TIME", 1)
    np.testing.assert_allclose(extract_features(signal, RATE, [(100, 9000)], FeatureSpec())[0], whole, rtol=1e-6)


def test_features_are_those_of_plain_mne_in_double_precision():
    signal = drifting(240)
    ours = extract_features(signal, RATE, [(0, signal.shape[1])], FeatureSpec())[0]
    np.testing.assert_allclose(ours, plain_mne(signal, RATE, FeatureSpec()), rtol=1e-4)


def test_the_benchmark_compares_equal_work():
    rates = benchmark_features(seconds=60, repeats=1)
    assert rates["largest_relative_difference"] < 1e-4
    assert rates["windows_per_second"] > 0
