"""DEAP: trials in time order, labels by a stated threshold, and a sentence for each thing that can be wrong."""

import pickle
import shutil

import numpy as np
import pytest
import scipy.io
from reader_conformance import ReaderConformance

from scmmlab.corpora import deap_facts as deap
from scmmlab.corpora.deap import DeapReader
from scmmlab.corpora.fakes import write_fake
from scmmlab.corpora.fakes.deap import DeapFake
from scmmlab.errors import CorpusError

# fmt: off
SEED_CHANNELS_TEXT = (
    "FP1 FPZ FP2 AF3 AF4 F7 F5 F3 F1 FZ F2 F4 F6 F8 FT7 FC5 FC3 FC1 FCZ FC2 FC4 FC6 FT8 T7 C5 C3 C1 CZ C2 C4 C6 T8 TP7 "
    "CP5 CP3 CP1 CPZ CP2 CP4 CP6 TP8 P7 P5 P3 P1 PZ P2 P4 P6 P8 PO7 PO5 PO3 POZ PO4 PO6 PO8 CB1 O1 OZ O2 CB2"
)

pytestmark = pytest.mark.slow
IN_SEED = [0, 3, 7, 5, 15, 17, 25, 23, 33, 35, 43, 41, 52, 58, 59, 45, 2, 4, 9, 11, 13, 21, 19, 27, 29, 31, 39, 37, 47,
           49, 54, 60]
# fmt: on
MAT = "data_preprocessed_matlab/s01.mat"
DAT = "data_preprocessed_python/s01.dat"


@pytest.fixture(scope="session")
def one_subject(tmp_path_factory):
    folder = tmp_path_factory.mktemp("deap") / "corpus"
    list(write_fake(DeapFake(subjects=1), folder))
    return folder


@pytest.fixture
def root(one_subject, tmp_path):
    """The ratings are a copy that may be altered; the data are a link within the folder's own disk."""
    root = tmp_path / "corpus"
    (root / "metadata_csv").mkdir(parents=True)
    (root / "data_preprocessed_python").mkdir()
    shutil.copy(one_subject / "metadata_csv" / "participant_ratings.csv", root / "metadata_csv")
    (root / DAT).hardlink_to(one_subject / DAT)
    return root


def ratings_of(root):
    lines = (root / "metadata_csv" / "participant_ratings.csv").read_text().splitlines()
    return lines[0].split(","), [line.split(",") for line in lines[1:]]


def write_ratings(root, header, rows):
    (root / "metadata_csv" / "participant_ratings.csv").write_text("\n".join(",".join(row) for row in [header, *rows]))


def write_dat(root, **altered):
    content = {"data": np.zeros(deap.SHAPE, "f4"), "labels": np.full((40, 4), 5.0)} | altered
    (root / DAT).unlink()
    (root / DAT).write_bytes(pickle.dumps(content, 2))


@pytest.mark.slow
class TestDeapConformance(ReaderConformance):
    @pytest.fixture(autouse=True)
    def _source(self, one_subject):
        self.source = one_subject

    def reader(self):
        return DeapReader()

    def fill(self, root):
        shutil.copytree(self.source, root, dirs_exist_ok=True)


@pytest.mark.slow
def test_both_releases_hold_the_same(one_subject, root):
    content = pickle.loads((one_subject / DAT).read_bytes())
    (root / "data_preprocessed_matlab").mkdir()
    scipy.io.savemat(root / MAT, content)
    reader = DeapReader(release="matlab")
    assert reader.files(root) == (MAT,)
    for python, matlab in zip(DeapReader().read(root, DAT), reader.read(root, MAT), strict=True):
        np.testing.assert_array_equal(python.signal, matlab.signal)
        assert python.trials == matlab.trials


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            {"data": np.zeros((40, 40, 10)), "labels": np.ones((40, 4))},
            r"expected floats of \(40, 40, 8064\), found double",
        ),
        ({"data": np.zeros((2, 2), "i2"), "labels": np.ones((40, 4))}, r"found int16 of \(2, 2\)"),
        (
            {"label": np.ones((1, 15))},
            r"is not a file of DEAP: expected 'data' and 'labels', found \['label'\]",
        ),
    ],
)
def test_mat_files_that_are_not_deaps_are_refused(root, content, message):
    (root / "data_preprocessed_matlab").mkdir()
    scipy.io.savemat(root / MAT, content)
    with pytest.raises(CorpusError, match=message):
        next(DeapReader(release="matlab").read(root, MAT))


@pytest.mark.slow
def test_the_fake_of_the_matlab_release_is_read(tmp_path):
    list(write_fake(DeapFake(subjects=1, release="matlab"), tmp_path / "corpus"))
    reader = DeapReader(release="matlab")
    assert reader.files(tmp_path / "corpus") == (MAT,)
    assert len(list(reader.read(tmp_path / "corpus", MAT))) == 40


def test_the_channels_are_those_of_seed_in_geneva_order():
    assert [SEED_CHANNELS_TEXT.split()[index] for index in IN_SEED] == [name.upper() for name in deap.CHANNELS]


def test_a_trial_is_numbered_by_its_time_and_has_the_signal_and_rating_of_its_video(root):
    content = pickle.loads((root / DAT).read_bytes())
    _, rows = ratings_of(root)
    video_of = {int(row[1]): int(row[2]) for row in rows}
    assert [video_of[trial] for trial in range(1, 41)] != list(range(1, 41))
    recordings = list(DeapReader(labels="quadrants").read(root, DAT))
    assert [recording.trials[0].trial for recording in recordings] == list(range(1, 41))
    for recording in recordings:
        (span,) = recording.trials
        video = video_of[span.trial] - 1
        np.testing.assert_array_equal(recording.signal, content["data"][video, :32])
        valence, arousal = content["labels"][video, :2] >= 5
        assert span.label == 2 * valence + arousal
        assert (span.start, span.stop) == (384, 8064)


def test_a_threshold_and_a_gap_decide_what_is_high_low_or_left_out():
    reader = DeapReader(threshold=5.0)
    assert [reader._label(v, 1) for v in (1, 4.99, 5, 9)] == [0, 0, 1, 1]
    reader = DeapReader(labels="arousal", threshold=5.0, gap=0.5)
    assert [reader._label(9, a) for a in (4.5, 4.6, 5)] == [0, None, 1]


def test_the_mean_second_of_the_baseline_is_subtracted_when_asked(root):
    plain = next(DeapReader().read(root, DAT)).signal
    less = next(DeapReader(baseline="subtract").read(root, DAT)).signal
    mean = (plain[:, :128] + plain[:, 128:256] + plain[:, 256:384]) / 3
    np.testing.assert_allclose(less[:, 384 + 128 : 384 + 256], plain[:, 384 + 128 : 384 + 256] - mean)


def test_the_order_of_the_videos_is_said_to_be_none_in_time_even_with_ratings(root):
    first = next(DeapReader(time_order="file").read(root, DAT))
    np.testing.assert_array_equal(first.signal, pickle.loads((root / DAT).read_bytes())["data"][0, :32])
    assert first.notes[1:] == ("trials in the order of the videos, which is not that of time",)


def test_without_ratings_the_order_in_time_is_refused_or_said_to_be_unknown(root):
    (root / "metadata_csv" / "participant_ratings.csv").unlink()
    with pytest.raises(CorpusError, match=r"participant_ratings.csv' is missing: expected it for the trials' order"):
        DeapReader().files(root)
    first = next(DeapReader(time_order="file").read(root, DAT))
    assert first.notes[1:] == ("trials in the order of the videos, which is not that of time",)


def test_ratings_of_another_subject_are_refused(root):
    header, rows = ratings_of(root)
    rows[3][4] = "1" if float(rows[3][4]) > 5 else "9"
    write_ratings(root, header, rows)
    with pytest.raises(
        CorpusError, match=r"s01.dat does not fit .*ratings.csv: expected .* found .* \(1 of 160 differ"
    ):
        next(DeapReader().read(root, DAT))


def test_times_that_disagree_are_refused_unless_one_is_chosen(root):
    header, rows = ratings_of(root)
    rows[0][3], rows[1][3] = rows[1][3], rows[0][3]
    write_ratings(root, header, rows)
    with pytest.raises(CorpusError, match=r"Trial and Start_time of subject 1 in .* disagree: expected the same order"):
        next(DeapReader().read(root, DAT))
    assert len(list(DeapReader(time_order="trial").read(root, DAT))) == 40


@pytest.mark.parametrize(
    ("alter", "message"),
    [
        (lambda header, rows: (header, rows[:-1]), r"not whole: expected videos 1 to 40 once each, found 39 rows"),
        (lambda header, rows: (header[:-3], rows), r"has no column .*: expected Participant_id"),
        (
            lambda header, rows: (header, [["x", *row[1:]] for row in rows]),
            r"is not a number in .*, line 2: .*found 'x'",
        ),
        (lambda header, rows: (header, [[*row[:4], "10", *row[5:]] for row in rows]), r"Valence is out of range"),
        (lambda header, rows: (header, [["2", *row[1:]] for row in rows]), r"ratings of subject 1 in .*found 0 rows"),
    ],
)
def test_ratings_that_are_not_whole_are_refused(root, alter, message):
    write_ratings(root, *alter(*ratings_of(root)))
    with pytest.raises(CorpusError, match=message):
        next(DeapReader().read(root, DAT))


@pytest.mark.parametrize(
    ("altered", "message"),
    [
        ({"data": np.zeros((39, 40, 8064), "f4")}, r"expected floats of \(40, 40, 8064\), found float32 of \(39,"),
        ({"data": np.zeros((40, 32, 8064), "f4")}, r"found float32 of \(40, 32, 8064\)"),
        ({"data": np.zeros((40, 40, 10), "i4")}, r"found int32 of"),
        ({"data": [1.0]}, r"expected floats of .*found list"),
        ({"labels": np.full((40, 4), np.nan)}, r"A rating in .*s01.dat is out of range: expected 1 to 9, found nan"),
        ({"labels": np.full((40, 3), 5.0)}, r"'labels' in .* expected floats of \(40, 4\), found float64 of \(40, 3\)"),
    ],
)
def test_arrays_that_are_not_deaps_are_refused(root, altered, message):
    write_dat(root, **altered)
    with pytest.raises(CorpusError, match=message):
        next(DeapReader(time_order="file").read(root, DAT))


@pytest.mark.parametrize("name", ["s1.dat", "s33.dat", "s00.dat", "S01.dat", "s01_copy.dat"])
def test_a_file_with_another_name_is_refused(root, name):
    (root / DAT).rename(root / "data_preprocessed_python" / name)
    with pytest.raises(CorpusError, match=rf"{name}' is not a file of DEAP: expected s01.dat to s32.dat, found {name}"):
        DeapReader().files(root)


def test_a_link_out_of_the_root_is_refused(root, one_subject):
    (root / DAT).unlink()
    (root / DAT).symlink_to(one_subject / DAT)
    with pytest.raises(CorpusError, match="lies outside the corpus"):
        DeapReader().files(root)


def test_a_manifest_says_what_was_done_to_the_signals_before(root):
    first, second = list(DeapReader().read(root, DAT))[:2]
    assert "4-45 Hz" in first.notes[0]
    assert second.notes == ()


def test_the_ratings_are_part_of_what_a_table_is_made_of(root):
    assert DeapReader().companions(root) == ("metadata_csv/participant_ratings.csv",)
    (root / "metadata_csv" / "participant_ratings.csv").rename(root / "participant_ratings.csv")
    assert DeapReader().companions(root) == ("participant_ratings.csv",)
    (root / "participant_ratings.csv").unlink()
    assert DeapReader(time_order="file").companions(root) == ()


def test_a_check_says_which_subjects_are_there(root):
    findings = list(DeapReader().check(root))
    assert findings[0].fact == "subjects"
    assert findings[0].found == "s01"
    assert all(finding.ok for finding in findings)


def test_a_check_finds_a_subject_that_is_missing_between_others(root):
    for number in (2, 4):
        (root / f"data_preprocessed_python/s{number:02d}.dat").hardlink_to(root / DAT)
    finding = next(DeapReader().check(root))
    assert not finding.ok
    assert finding.found == "s01, s02, s04"
    assert finding.remedy.startswith("copy s03 as well")
