"""FACED: 28 clips of nine classes, and a sentence for each thing that can be wrong."""

import pickle
import shutil

import numpy as np
import pytest
from reader_conformance import ReaderConformance

from scmmlab.corpora import faced
from scmmlab.corpora.faced import FacedReader
from scmmlab.corpora.fakes import write_fake
from scmmlab.corpora.fakes.faced import FacedFake
from scmmlab.errors import CorpusError

PKL = "Processed_data/sub000.pkl"


@pytest.fixture(scope="session")
def one_subject(tmp_path_factory):
    folder = tmp_path_factory.mktemp("faced") / "corpus"
    list(write_fake(FacedFake(subjects=1), folder))
    return folder


@pytest.mark.slow
class TestFacedConformance(ReaderConformance):
    @pytest.fixture(autouse=True)
    def _source(self, one_subject):
        self.source = one_subject

    def reader(self):
        return FacedReader()

    def fill(self, root):
        shutil.copytree(self.source, root, dirs_exist_ok=True)


def write_pkl(root, array, name="sub000.pkl"):
    (root / name).write_bytes(pickle.dumps(array))


def test_clips_come_with_their_classes_and_without_the_ears(one_subject):
    data = pickle.loads((one_subject / PKL).read_bytes())
    recordings = list(FacedReader().read(one_subject, PKL))
    assert len(recordings) == 28
    assert np.bincount([recording.trials[0].label for recording in recordings]).tolist() == [3, 3, 3, 3, 4, 3, 3, 3, 3]
    assert recordings[15].trials[0].label == faced.CLASSES.index("neutral")
    np.testing.assert_array_equal(recordings[9].signal, data[9, :30])
    assert recordings[9].trials[0].stop == 30 * 250
    assert recordings[0].notes == ("trials in the order of the clips, which is not that of time",)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (
            np.ones((27, 32, 7500), "f4"),
            r"sub000.pkl is not a file of FACED: expected floats of .*, found float32 of \(27,",
        ),
        (np.ones((28, 30, 7500), "f4"), r"found float32 of \(28, 30, 7500\)"),
        (np.ones((28, 32, 750), "i2"), r"found int16"),
        ({"data": 1}, r"found dict"),
        (np.full((28, 32, 7500), 1e-5, "f4"), r"sub000.pkl is not in µV: expected .*found 1e-05"),
        (np.full((28, 32, 7500), np.nan, "f4"), r"A value is not finite in .*sub000.pkl \(clip 1\): .*channel FP1"),
        (np.full((28, 32, 7500), 5, "f4"), r"A channel is flat in .*sub000.pkl"),
    ],
)
def test_arrays_that_are_not_faceds_are_refused(tmp_path, array, message):
    write_pkl(tmp_path, array)
    with pytest.raises(CorpusError, match=message):
        next(FacedReader().read(tmp_path, "sub000.pkl"))


@pytest.mark.parametrize("name", ["sub0.pkl", "sub123.pkl", "Sub000.pkl", "s001.pkl"])
def test_a_file_with_another_name_is_refused(tmp_path, name):
    write_pkl(tmp_path, 1, name)
    with pytest.raises(
        CorpusError, match=rf"{name}' is not a file of FACED: expected sub000.pkl to sub122.pkl, found {name}"
    ):
        FacedReader().files(tmp_path)


def test_a_check_says_which_subjects_are_there(one_subject):
    findings = list(FacedReader().check(one_subject))
    assert findings[0].found == "sub000"
    assert all(finding.ok for finding in findings)
