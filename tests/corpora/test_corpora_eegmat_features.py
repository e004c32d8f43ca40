"""The features of eegmat as one .npz: the trials are those of the recordings."""

import numpy as np
import pytest
from reader_conformance import ReaderConformance

from scmmlab.corpora import eegmat_features
from scmmlab.corpora.eegmat import EegmatReader
from scmmlab.corpora.eegmat_features import EegmatFeaturesReader
from scmmlab.errors import CorpusError
from scmmlab.features import DEFAULT_BANDS, FORM, LOG_BASE, UNIT
from scmmlab.tables import build_table, read_table


def arrays():
    labels = np.tile([0] * 60 + [1] * 62, 36)
    return {
        "X": np.random.default_rng(0).normal(2, 1, (4392, 19, 5)).astype(np.float32),
        "y": labels.astype(np.int8),
        "subject": np.repeat(np.arange(36), 122).astype(np.int16),
        "ch_names": np.array(eegmat_features.CHANNELS),
        "bands": np.array([[1, 4], [4, 8], [8, 14], [14, 31], [31, 50]]),
    }


class TestEegmatFeaturesConformance(ReaderConformance):
    def reader(self):
        return EegmatFeaturesReader()

    def fill(self, root):
        np.savez(root / eegmat_features.FILE, **arrays())


def test_it_claims_the_form_of_features_that_scmmlab_computes():
    origin = EegmatFeaturesReader().feature_origin
    assert (origin.form, origin.unit, origin.log_base) == (FORM, UNIT, LOG_BASE)
    assert eegmat_features.BANDS == DEFAULT_BANDS


def test_its_trials_are_those_that_the_recordings_would_have(tmp_path):
    np.savez(tmp_path / eegmat_features.FILE, **arrays())
    build_table(EegmatFeaturesReader(), tmp_path, tmp_path / "table")
    table = read_table(tmp_path / "table")
    of_subject = table.subject == 5
    expected = [trial for trial in range(1, 13) for _ in range(12 if trial == 12 else 10)]
    assert table.trial[of_subject].tolist() == expected
    assert table.manifest.subjects[5] == EegmatReader().subject_name(5)
    np.testing.assert_array_equal(table.features[of_subject], arrays()["X"][5 * 122 : 6 * 122])


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("y", np.zeros(4392), "labels of subject 0"),
        ("X", np.zeros((4392, 19, 4)), "shape of X"),
        ("ch_names", np.array(["A"] * 19), "channels"),
        ("bands", np.zeros((5, 2)), "bands"),
        ("subject", np.zeros(4392), "subjects"),
    ],
)
def test_arrays_that_are_not_what_is_known_are_refused(tmp_path, name, value, complaint):
    np.savez(tmp_path / eegmat_features.FILE, **{**arrays(), name: value})
    with pytest.raises(CorpusError, match=f"The {complaint} in .*npz must be .*, found"):
        list(EegmatFeaturesReader().read(tmp_path, eegmat_features.FILE))


def test_a_value_that_is_not_finite_is_named(tmp_path):
    spoiled = arrays()
    spoiled["X"][122 + 75, 3, 1] = np.nan
    np.savez(tmp_path / eegmat_features.FILE, **spoiled)
    with pytest.raises(
        CorpusError,
        match=r"expected finite numbers, found nan in channel F4, band theta, window 5 of trial 8 of subject 1",
    ):
        build_table(EegmatFeaturesReader(), tmp_path, tmp_path / "table")
