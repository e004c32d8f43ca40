"""DREAMER: nested structs read subject by subject, and a sentence for each thing that can be wrong."""

import shutil
import tracemalloc

import numpy as np
import pytest
import scipy.io
from reader_conformance import ReaderConformance

from scmmlab.corpora.dreamer import DreamerReader
from scmmlab.corpora.dreamer_file import DreamerSubject, read_subjects
from scmmlab.errors import CorpusError

CHANNELS = ["AF3", "F7", "F3", "FC5", "T7", "P7", "O1", "O2", "P8", "T8", "FC6", "F4", "F8", "AF4"]
SUBJECTS, CLIPS = 23, 18
SECONDS = [60 + clip for clip in range(CLIPS)]


def signal(subject, clip, kind="i2"):
    """A pattern of a second again and again, with the headset's offset; no two clips are the same."""
    rng = np.random.default_rng(100 * subject + clip)
    return np.tile(4200 + np.round(40 * rng.normal(size=(128, 14))), (SECONDS[clip], 1)).astype(kind)


def cells(values):
    column = np.empty((CLIPS, 1), object)
    column[:, 0] = values
    return column


def subject_struct(subject, kind="i2", **altered):
    scores = {
        f"Score{name}": np.array([[1.0 + (subject + step * clip) % 5] for clip in range(CLIPS)])
        for name, step in (("Valence", 1), ("Arousal", 2), ("Dominance", 3))
    }
    stimuli = cells([signal(subject, clip, kind) for clip in range(CLIPS)])
    baseline = cells([np.zeros((61 * 128, 14), "i2")] * CLIPS)
    ecg = {"baseline": cells([np.zeros((4, 2))] * CLIPS), "stimuli": cells([np.zeros((4, 2))] * CLIPS)}
    eeg = {"baseline": baseline, "stimuli": stimuli} | altered.pop("EEG", {})
    return {"Age": "22", "Gender": "male", "EEG": eeg, "ECG": ecg, **scores} | altered


def write(path, subjects):
    data = np.empty((1, SUBJECTS), object)
    data[0] = [*subjects, *[np.zeros((0, 0))] * (SUBJECTS - len(subjects))]
    content = {
        "Data": data,
        "EEG_SamplingRate": 128.0,
        "ECG_SamplingRate": 256.0,
        "EEG_Electrodes": np.array([CHANNELS], object),
        "noOfSubjects": 23.0,
        "noOfVideoSequences": 18.0,
    }
    scipy.io.savemat(path, {"DREAMER": content}, do_compression=True)


@pytest.fixture(scope="session")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dreamer") / "corpus"
    folder.mkdir()
    # numbers as MATLAB has them by default, and in the others whole ones, which are small
    write(folder / "DREAMER.mat", [subject_struct(1, "f8"), *(subject_struct(s) for s in range(2, SUBJECTS + 1))])
    return folder


@pytest.mark.slow
class TestDreamerConformance(ReaderConformance):
    @pytest.fixture(autouse=True)
    def _source(self, whole):
        self.source = whole

    def reader(self):
        return DreamerReader()

    def fill(self, root):
        shutil.copytree(self.source, root, dirs_exist_ok=True)


def test_clips_come_with_their_channels_scores_and_numbers(whole):
    reader = DreamerReader(labels="quadrants", ties="low")
    assert reader.files(whole) == ("DREAMER.mat",)
    recordings = reader.read(whole, "DREAMER.mat")
    for subject in (1, 2):
        for clip in range(CLIPS):
            recording = next(recordings)
            (span,) = recording.trials
            assert (recording.subject, span.trial, recording.channels) == (subject, clip + 1, tuple(CHANNELS))
            assert (span.start, span.stop) == (0, 128 * SECONDS[clip])
            known = signal(subject, clip, "f8").T
            np.testing.assert_allclose(recording.signal, known - known.mean(axis=1, keepdims=True), atol=1e-9)
            valence, arousal = 1 + (subject + clip) % 5, 1 + (subject + 2 * clip) % 5
            assert span.label == 2 * (valence > 3) + (arousal > 3)


@pytest.mark.parametrize(
    ("settings", "labels"),
    [
        ({}, [0, 0, 1, 1, 1]),
        ({"ties": "low"}, [0, 0, 0, 1, 1]),
        ({"ties": "out"}, [0, 0, None, 1, 1]),
        ({"threshold": 2.5, "ties": "out"}, [0, 0, 1, 1, 1]),
        ({"labels": "dominance", "ties": "low"}, [0, 0, 0, 1, 1]),
    ],
)
def test_the_threshold_and_what_ties_are_decide_what_is_high(settings, labels):
    scored = DreamerSubject((), {name: np.arange(1.0, 6.0) for name in ("valence", "arousal", "dominance")})
    reader = DreamerReader(**settings)
    assert [reader._label(scored, clip) for clip in range(5)] == labels


def test_one_subject_is_in_memory_at_a_time(whole):
    tracemalloc.start()
    for _ in read_subjects(whole / "DREAMER.mat"):
        pass
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    one = 8 * 14 * 128 * sum(SECONDS)
    assert peak < 2.5 * one


def test_the_order_of_the_clips_is_not_said_to_be_that_of_time(whole):
    recordings = DreamerReader().read(whole, "DREAMER.mat")
    assert "not known" in next(recordings).notes[0]
    assert next(recordings).notes == ()


def test_a_check_counts_the_subjects(whole):
    findings = list(DreamerReader().check(whole))
    assert all(finding.ok for finding in findings)
    assert [finding.fact for finding in findings[1:]] == [*(f"subject {n}" for n in range(1, 24)), "subjects"]
    assert findings[1].found == "18 clips of 60 to 77 s"


def with_clip(value):
    clips = [signal(1, clip) for clip in range(CLIPS)]
    clips[2] = value
    return {"EEG": {"stimuli": cells(clips)}}


SPOILT = signal(1, 2, "f8")
SPOILT[500, 3] = np.nan


@pytest.mark.parametrize(
    ("altered", "message"),
    [
        (
            with_clip(np.ones((100, 14))),
            r"'DREAMER.Data\{1\}.EEG.stimuli\{3\}' in .* expected numbers of .*\(100, 14\)",
        ),
        (with_clip(np.ones((8000, 13))), r"found double of \(8000, 13\)"),
        (with_clip(np.ones((14, 8000))), r"expected numbers of \(7680 to 51200, 14\), found double of \(14, 8000\)"),
        (with_clip("text"), r"found char of"),
        (with_clip(signal(1, 2, "f8") * 1e-6), r"expected 0.1 to 10000 µV, found a standard deviation of"),
        (with_clip(SPOILT), r"A value is not finite in .*DREAMER.mat \(subject 1, clip 3\): .*channel FC5 at 3.906 s"),
        ({"EEG": {"stimuli": cells(["x"] * CLIPS)[:17]}}, r"EEG.stimuli' .* expected a cell of 18 x 1, found cell of"),
        ({"EEG": {"baseline": cells([np.zeros((5, 14))] * CLIPS)}}, r"baseline\{1\}' .* \(7808, 14\), found double of"),
        ({"ScoreValence": np.full((18, 1), 7.0)}, r"ScoreValence' in .*expected scores of 1 to 5, found 7"),
        ({"ScoreArousal": np.full((18, 1), np.nan)}, r"ScoreArousal' in .*found nan"),
        (
            {"ScoreArousal": np.ones((17, 1))},
            r"ScoreArousal' in .* expected numbers of \(18, 1\), found double of \(17",
        ),
    ],
)
def test_a_subject_that_is_not_dreamers_is_refused(tmp_path, altered, message):
    write(tmp_path / "DREAMER.mat", [subject_struct(1, **altered)])
    with pytest.raises(CorpusError, match=message):
        list(DreamerReader().read(tmp_path, "DREAMER.mat"))


def test_a_subject_that_is_missing_is_refused(tmp_path):
    write(tmp_path / "DREAMER.mat", [subject_struct(1)])
    with pytest.raises(
        CorpusError, match=r"'DREAMER.Data\{2\}' in .*: expected a struct of 1 x 1, found double of \(0, 0\)"
    ):
        list(DreamerReader().read(tmp_path, "DREAMER.mat"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"EEG_SamplingRate": 256.0}, r"EEG_SamplingRate' in .* expected 128 Hz, found 256 Hz"),
        ({"EEG_SamplingRate": "128"}, r"EEG_SamplingRate' in .* expected numbers of \(1, 1\), found char"),
        (
            {"EEG_Electrodes": np.array([CHANNELS[::-1]], object)},
            r"EEG_Electrodes' in .*expected AF3, .* found AF4, F8",
        ),
        ({"noOfSubjects": 22.0}, r"noOfSubjects' in .*expected 23, found 22"),
        ({"Data": None}, r"DREAMER.Data' in .*expected a cell of 1 x 23, found cell of \(1, 22\)"),
        ({"EEG_SamplingRate": 128.0}, r"expected Data, EEG_SamplingRate and EEG_Electrodes, found no Data, EEG_Elec"),
    ],
)
def test_what_stands_around_the_subjects_is_checked(tmp_path, content, message):
    content = {name: np.full((1, 22), 1.0, object) if name == "Data" else value for name, value in content.items()}
    scipy.io.savemat(tmp_path / "DREAMER.mat", {"DREAMER": content})
    with pytest.raises(CorpusError, match=message):
        list(DreamerReader().read(tmp_path, "DREAMER.mat"))


def test_a_file_with_another_name_is_refused(tmp_path):
    (tmp_path / "dreamer_copy.mat").write_bytes(b"MATLAB")
    with pytest.raises(CorpusError, match=r"expected DREAMER.mat, found no such file"):
        DreamerReader().files(tmp_path)


def test_a_file_of_another_corpus_is_refused(tmp_path):
    scipy.io.savemat(tmp_path / "DREAMER.mat", {"label": np.ones((1, 15))})
    with pytest.raises(CorpusError, match=r"has no variable 'DREAMER': expected it, found label"):
        list(DreamerReader().read(tmp_path, "DREAMER.mat"))
