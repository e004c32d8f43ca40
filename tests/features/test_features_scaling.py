"""Scalers: fitted numbers, constant features, and the way through JSON."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from scmmlab.features import Scaler

FEATURES = arrays(np.float32, (7, 3, 2), elements=st.floats(-30, 30, width=32))


def spread_out(features):
    return (np.ptp(features, axis=0) > 1e-3).all()


@settings(max_examples=40, deadline=None)
@given(FEATURES)
def test_min_max_takes_each_feature_to_zero_and_one(features):
    scaled = Scaler.fit("min_max", features).transform(features)
    assert scaled.dtype == np.float32
    constant = np.ptp(features, axis=0) == 0
    np.testing.assert_array_equal(scaled.min(axis=0), 0)
    np.testing.assert_array_equal(scaled.max(axis=0), np.where(constant, 0, 1))


@settings(max_examples=40, deadline=None)
@given(FEATURES.filter(spread_out))
def test_standard_takes_each_feature_to_mean_zero_and_deviation_one(features):
    scaled = Scaler.fit("standard", features).transform(features).astype(np.float64)
    np.testing.assert_allclose(scaled.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(scaled.std(axis=0), 1, atol=1e-5)


@settings(max_examples=20, deadline=None)
@given(FEATURES)
def test_none_changes_nothing(features):
    np.testing.assert_array_equal(Scaler.fit("none", features).transform(features), features)


@pytest.mark.parametrize("kind", ["min_max", "standard"])
def test_a_feature_that_was_constant_becomes_zero_and_stays_finite(kind):
    features = np.full((10, 2, 2), 0.1, dtype=np.float32)
    scaler = Scaler.fit(kind, features)
    np.testing.assert_array_equal(scaler.transform(features), 0)
    np.testing.assert_allclose(scaler.transform(features + 1), 1, rtol=1e-6)


@pytest.mark.parametrize("kind", ["min_max", "standard", "none"])
def test_each_feature_is_scaled_by_its_own_numbers(kind):
    features = np.random.default_rng(0).normal(size=(20, 4, 3)).astype(np.float32)
    whole = Scaler.fit(kind, features).transform(features)
    alone = Scaler.fit(kind, features[:, 2:3, 1:2]).transform(features[:, 2:3, 1:2])
    np.testing.assert_array_equal(whole[:, 2:3, 1:2], alone)


@pytest.mark.parametrize("kind", ["min_max", "standard", "none"])
def test_a_scaler_is_the_same_after_json(kind):
    features = np.random.default_rng(0).normal(size=(20, 4, 3)).astype(np.float32)
    scaler = Scaler.fit(kind, features)
    again = Scaler.from_state(json.loads(json.dumps(scaler.state())))
    assert again.kind == kind
    assert again.transform(features).tobytes() == scaler.transform(features).tobytes()


def test_new_windows_do_not_change_what_was_fitted():
    features = np.random.default_rng(0).normal(size=(20, 4, 3)).astype(np.float32)
    scaler = Scaler.fit("min_max", features[:10])
    np.testing.assert_array_equal(scaler.transform(features)[:10], scaler.transform(features[:10]))
    assert scaler.transform(10 * features).max() > 1


def test_no_windows_and_an_unknown_kind_are_refused():
    with pytest.raises(ValueError, match="at least one window"):
        Scaler.fit("min_max", np.zeros((0, 2, 2)))
    with pytest.raises(ValueError, match="got 'robust'"):
        Scaler.fit("robust", np.zeros((1, 2, 2)))
