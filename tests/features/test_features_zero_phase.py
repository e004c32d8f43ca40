"""The fast filters give the numbers of the recursion, whatever the signal's length."""

import sys

import numpy as np
import pytest
from scipy.signal import butter, sosfiltfilt

from scmmlab.errors import ScmmlabError
from scmmlab.features import DEFAULT_BANDS
from scmmlab.features.benchmark import benchmark_features, plain_mne
from scmmlab.features.benchmark_torcheeg import benchmark_torcheeg
from scmmlab.features.extraction import FeatureSpec, extract_features
from scmmlab.features.zero_phase import zero_phase_bands

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
    bands = list(DEFAULT_BANDS.values())
    double, single = (list(zero_phase_bands(signal, RATE, bands, single=single)) for single in (False, True))
    for (low, high), in_double, in_single in zip(bands, double, single, strict=True):
        # without its offset, which costs the recursion digits
        expected = by_recursion(signal - offset, low, high)
        scale = expected.std()
        np.testing.assert_allclose(in_double, expected, rtol=0, atol=3e-6 * scale)
        np.testing.assert_allclose(in_single, expected, rtol=0, atol=1e-5 * scale)


def test_features_do_not_depend_on_how_many_channels_are_filtered_at_a_time(monkeypatch):
    signal = np.vstack([drifting(100), drifting(100)[::-1] + 1])
    whole = extract_features(signal, RATE, [(100, 9000)], FeatureSpec())[0]
    monkeypatch.setattr("scmmlab.features.extraction.VALUES_AT_A_TIME", 1)
    np.testing.assert_allclose(extract_features(signal, RATE, [(100, 9000)], FeatureSpec())[0], whole, rtol=1e-6)


def test_features_are_those_of_plain_mne_in_double_precision():
    signal = drifting(240)
    ours = extract_features(signal, RATE, [(0, signal.shape[1])], FeatureSpec())[0]
    np.testing.assert_allclose(ours, plain_mne(signal, RATE, FeatureSpec()), rtol=1e-4)


def test_windows_that_are_quiet_beside_others_keep_their_digits():
    signal = drifting(240)
    # an artefact of a second, and a channel that nearly ends before the recording does
    signal[0, 4000:4200] *= 1e3
    signal[1, 30_000:] *= 1e-5
    (ours,) = extract_features(signal, RATE, [(0, signal.shape[1])], FeatureSpec())
    np.testing.assert_allclose(ours, plain_mne(signal, RATE, FeatureSpec()), rtol=0, atol=1e-5)


def test_the_benchmark_compares_equal_work():
    rates = benchmark_features(seconds=60, repeats=1)
    assert rates["largest_relative_difference"] < 1e-4
    assert rates["windows_per_second"] > 0
    assert rates["whole_process"] == "not installed"


TORCHEEG = """
import numpy as np

class BandDifferentialEntropy:
    def __init__(self, sampling_rate, order, band_dict):
        self.bands = len(band_dict)

    def __call__(self, eeg):
        assert eeg.shape == (3, 200)
        return {"eeg": np.zeros((3, self.bands))}
"""


@pytest.mark.slow
def test_a_whole_process_is_compared_with_one_that_has_torcheeg(tmp_path, monkeypatch):
    (tmp_path / "torcheeg").mkdir()
    (tmp_path / "torcheeg" / "__init__.py").write_text("print('a library that says something')")
    (tmp_path / "torcheeg" / "transforms.py").write_text(TORCHEEG)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    rates = benchmark_torcheeg(drifting(20), RATE, sys.executable, repeats=1)
    assert rates["speed_ratio"] == pytest.approx(rates["windows_per_second"] / rates["torcheeg_windows_per_second"])


@pytest.mark.slow
def test_an_interpreter_without_torcheeg_is_named():
    with pytest.raises(ScmmlabError, match=r"cannot run torcheeg: .* found '.*No module named 'torcheeg'"):
        benchmark_torcheeg(drifting(1), RATE, sys.executable, repeats=1)


@pytest.mark.parametrize("order", [1, 2, 4, 7])
@pytest.mark.parametrize("edges", [(0.5, 3), (1, 4), (48, 52), (31, 50), (60, 99)])
def test_other_filters_are_those_of_the_recursion_as_well(order, edges):
    # a signal that does not end where it began, twice as long as half of these filters ring
    signal = drifting(15) + np.linspace(0, 500, 3000)
    sections = butter(order, edges, btype="bandpass", fs=RATE, output="sos")
    expected = sosfiltfilt(sections, signal, axis=-1, padlen=3 * (2 * order + 1))
    (found,) = zero_phase_bands(signal, RATE, [edges], order)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * expected.std())
