"""Differential entropy against a plain reference, and against what mathematics says of it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.signal import butter, filtfilt, sosfreqz
from scipy.stats import norm

from scmmlab.errors import CorpusError
from scmmlab.features import DEFAULT_BANDS, FeatureSpec, band_pass, check_bands, differential_entropy, extract_features

RATE = 200.0


def plain_features(signal, spans, spec, rate=RATE):
    """The definition, one number after the other."""
    per_window = round(spec.window_s * rate)
    trials = []
    for start, stop in spans:
        trial = np.zeros(((stop - start) // per_window, len(signal), len(spec.bands)))
        for band, (low, high) in enumerate(spec.bands.values()):
            numerator, denominator = butter(spec.filter_order, (low / (rate / 2), high / (rate / 2)), btype="band")
            for channel, samples in enumerate(signal):
                filtered = filtfilt(numerator, denominator, samples)[start:stop]
                for window in range(len(trial)):
                    piece = filtered[window * per_window : (window + 1) * per_window]
                    variance = sum((piece - piece.mean()) ** 2) / per_window
                    trial[window, channel, band] = np.log(2 * np.pi * np.e * variance) / 2
        trials.append(trial)
    return trials


@pytest.fixture(scope="module")
def signal():
    return np.random.default_rng(0).normal(0, 20, (3, 10 * 200 + 77)).cumsum(axis=1) / 20


def test_features_are_those_of_a_plain_reference(signal):
    # without delta, whose filter is too narrow for the reference's polynomials
    bands = {name: edges for name, edges in DEFAULT_BANDS.items() if name != "delta"}
    spec = FeatureSpec(bands=bands)
    spans = [(0, 800), (830, 1444), (1500, signal.shape[1])]
    found = extract_features(signal, RATE, spans, spec)
    for one, reference in zip(found, plain_features(signal, spans, spec), strict=True):
        assert one.shape == reference.shape
        assert one.dtype == np.float32
        np.testing.assert_allclose(one, reference, atol=2e-3)


def test_white_noise_has_the_entropy_of_a_gaussian():
    noise = np.random.default_rng(1).normal(0, 20, (1, 200_000))
    assert differential_entropy(noise, 200_000)[0, 0] == pytest.approx(norm(scale=20).entropy(), abs=0.01)


@settings(max_examples=30, deadline=None)
@given(arrays(np.float64, (2, 50), elements=st.floats(-100, 100)), st.floats(0.1, 10), st.floats(-50, 50))
def test_a_gain_adds_its_logarithm_and_an_offset_nothing(signal, gain, offset):
    signal = signal + np.random.default_rng(0).normal(0, 1, signal.shape)
    before = differential_entropy(signal, 25)
    after = differential_entropy(gain * signal + offset, 25)
    np.testing.assert_allclose(after, before + np.log(gain), atol=1e-6)


def test_samples_that_fill_no_window_are_left_out():
    signal = np.random.default_rng(0).normal(size=(2, 107))
    np.testing.assert_array_equal(differential_entropy(signal, 20), differential_entropy(signal[:, :100], 20))
    assert differential_entropy(signal, 20).shape == (5, 2)


def test_a_constant_window_is_minus_infinity():
    assert differential_entropy(np.zeros((1, 10)), 10)[0, 0] == -np.inf


@pytest.mark.parametrize("band", DEFAULT_BANDS)
def test_a_band_keeps_what_is_in_it_where_it_is_in_time(band):
    low, high = DEFAULT_BANDS[band]
    time = np.arange(0, 60, 1 / RATE)
    inside = np.sin(2 * np.pi * np.sqrt(low * high) * time)
    outside = np.sin(2 * np.pi * min(2.2 * high, 95) * time) + np.sin(2 * np.pi * 0.4 * low * time)
    filtered = band_pass((inside + outside)[None], RATE, low, high)[0]
    middle = slice(10 * 200, 50 * 200)
    # no delay, no change of size: zero phase
    np.testing.assert_allclose(filtered[middle], inside[middle], atol=0.05)


def test_the_edges_of_a_band_are_halved_in_amplitude():
    sections = butter(4, (8, 14), btype="bandpass", fs=RATE, output="sos")
    _, response = sosfreqz(sections, worN=[8, 14], fs=RATE)
    np.testing.assert_allclose(np.abs(response) ** 2, 0.5, atol=1e-6)
    time = np.arange(0, 60, 1 / RATE)
    filtered = band_pass(np.sin(2 * np.pi * 14 * time)[None], RATE, 8, 14)[0, 2000:-2000]
    assert np.abs(filtered).max() == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("edges", [(31, 101), (0, 4), (8, 8), (14, 8)])
def test_a_band_that_does_not_fit_the_sampling_rate_is_refused(edges):
    with pytest.raises(CorpusError, match=r"Invalid band 'x': expected 0 < low < high < 100 Hz"):
        check_bands({"x": edges}, RATE)


def test_a_window_that_is_no_whole_number_of_samples_is_refused(signal):
    with pytest.raises(CorpusError, match=r"'window_s': it must be a whole number of samples at 200 Hz, got 0.333 s"):
        extract_features(signal, RATE, [(0, 400)], FeatureSpec(window_s=0.333))


def test_a_trial_shorter_than_a_window_is_refused(signal):
    with pytest.raises(CorpusError, match=r"shorter than a window: expected at least 1 s, found 0.5 s"):
        extract_features(signal, RATE, [(0, 400), (400, 500)], FeatureSpec())


def test_a_signal_too_short_for_the_filter_is_refused():
    with pytest.raises(CorpusError, match=r"too short to be filtered: expected more than 27 samples, found 27"):
        band_pass(np.zeros((1, 27)), RATE, 8, 14)


def test_smoothing_stays_within_a_trial(signal):
    spans = [(0, 1000), (1000, 2000)]
    for smoothing in ("moving_average", "lds"):
        spec = FeatureSpec(smoothing=smoothing)
        second = extract_features(signal, RATE, spans, spec)[1]
        np.testing.assert_array_equal(second, extract_features(signal, RATE, spans[1:], spec)[0])
        assert not np.array_equal(second, extract_features(signal, RATE, spans, FeatureSpec())[1])
