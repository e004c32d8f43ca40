"""Smoothing: what it computes, and that it never looks ahead."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pykalman import KalmanFilter

from scmmlab.features import lds, moving_average


@pytest.fixture
def features():
    return np.random.default_rng(0).normal(size=(30, 4, 2))


@pytest.mark.parametrize("windows", [1, 2, 5, 30, 50])
def test_a_moving_average_is_the_mean_of_a_window_and_those_before_it(features, windows):
    smoothed = moving_average(features, windows)
    for index in range(30):
        np.testing.assert_allclose(smoothed[index], features[max(0, index + 1 - windows) : index + 1].mean(axis=0))


def full_kalman_filter(observations, q=1e-4, r=1.0, prior=0.01):
    """The textbook's form, update before the first prediction, started at the first observation."""
    mean, variance, means = observations[0], prior, []
    for index, observation in enumerate(observations):
        if index:
            variance = variance + q
        gain = variance / (variance + r)
        mean = mean + gain * (observation - mean)
        variance = (1 - gain) * variance
        means.append(mean)
    return np.array(means)


def test_lds_is_a_kalman_filter_started_at_the_first_window(features):
    np.testing.assert_allclose(lds(features), full_kalman_filter(features), atol=1e-12)


def test_lds_settles_at_a_gain_of_a_hundredth():
    step = np.concatenate([np.zeros(5000), np.ones(1)])
    assert lds(step)[-1] == pytest.approx(0.00995, abs=1e-4)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 29), st.sampled_from([moving_average, lds]))
def test_smoothing_never_looks_ahead(cut, smooth):
    features = np.random.default_rng(0).normal(size=(30, 3))
    np.testing.assert_allclose(smooth(features)[:cut], smooth(features[:cut]), atol=1e-12)


@pytest.mark.parametrize("smooth", [moving_average, lds])
def test_smoothing_leaves_its_input_and_what_is_constant(features, smooth):
    before = features.copy()
    smooth(features)
    np.testing.assert_array_equal(features, before)
    np.testing.assert_allclose(smooth(np.full((10, 2), 3.5)), 3.5)


def test_lds_is_the_kalman_filter_of_an_independent_library():
    x = np.random.default_rng(8).normal(2.5, 0.5, 150)
    kalman = KalmanFilter(
        transition_matrices=[[1.0]],
        observation_matrices=[[1.0]],
        transition_covariance=[[1e-4]],
        observation_covariance=[[1.0]],
        initial_state_mean=[x[0]],
        initial_state_covariance=[[0.01]],
    )
    means, _ = kalman.filter(x)
    np.testing.assert_allclose(lds(x), means[:, 0], rtol=1e-12)
