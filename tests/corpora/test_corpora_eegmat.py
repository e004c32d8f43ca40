"""eegmat: blocks of both recordings as trials, and a sentence for each thing that can be wrong with the folder."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from edf_files import spoil, write_edf
from reader_conformance import ReaderConformance
from scipy.signal import butter, sosfiltfilt

from scmmlab.corpora import eegmat
from scmmlab.corpora.eegmat import EegmatReader
from scmmlab.errors import CorpusError
from scmmlab.tables import build_table, read_table

REAL_PAIR = Path(__file__).parent.parent / "data" / "eegmat"
_OLD = {"T7": "T3", "T8": "T4", "P7": "T5", "P8": "T6"}
OLD_LABELS = [f"EEG {_OLD.get(name, name)}" for name in eegmat.CHANNELS]


def copy_real_pair(root):
    for name in ("Subject00_1.edf", "Subject00_2.edf"):
        shutil.copy(REAL_PAIR / name, root / name)


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "corpus"
    root.mkdir()
    copy_real_pair(root)
    return root


class TestEegmatConformance(ReaderConformance):
    def reader(self):
        return EegmatReader()

    def fill(self, root):
        copy_real_pair(root)


def write_recording(path, seconds, seed=0):
    rng = np.random.default_rng(seed)
    write_edf(path, [*OLD_LABELS, "EEG A2-A1", "ECG ECG"], rng.normal(0, 20, (21, seconds * 500)).clip(-190, 190), 500)


def only(recordings):
    (recording,) = recordings
    return recording


def test_channels_have_their_new_names_and_order(root):
    recording = only(EegmatReader().read(root, "Subject00_1.edf"))
    assert " ".join(recording.channels) == "Fp1 Fp2 F3 F4 F7 F8 T7 T8 C3 C4 P7 P8 P3 P4 O1 O2 Fz Cz Pz"
    assert recording.signal.shape == (19, 20 * 500)


def test_the_last_minute_of_rest_and_all_of_arithmetic_are_cut_into_blocks(tmp_path):
    write_recording(tmp_path / "Subject07_1.edf", 75, seed=1)
    write_recording(tmp_path / "Subject07_2.edf", 62, seed=2)
    build_table(EegmatReader(), tmp_path, tmp_path / "table")
    table = read_table(tmp_path / "table")
    trials = {int(trial): int((table.trial == trial).sum()) for trial in np.unique(table.trial)}
    assert trials == {**dict.fromkeys(range(1, 12), 10), 12: 12}
    assert (table.label == (table.trial > 6)).all()
    assert set(table.subject) == {7}
    assert table.manifest.subjects == {7: "Subject07"}
    assert table.manifest.provenance["notes"] == []


def test_rest_is_taken_from_the_end_of_its_recording(tmp_path):
    write_recording(tmp_path / "Subject07_1.edf", 75)
    kept = only(EegmatReader().read(tmp_path, "Subject07_1.edf"))
    whole = only(EegmatReader(filter_whole_recording=True).read(tmp_path, "Subject07_1.edf"))
    assert kept.signal.shape == (19, 60 * 500)
    np.testing.assert_array_equal(kept.signal, whole.signal[:, 15 * 500 :])
    assert whole.trials[0].start == 15 * 500
    assert kept.trials[0].start == 0


def test_a_short_recording_gives_fewer_trials_and_a_note(root, tmp_path):
    manifest = build_table(EegmatReader(), root, tmp_path / "table").manifest
    table = read_table(tmp_path / "table")
    assert sorted(set(table.trial)) == [1, 2, 7, 8]
    assert manifest.provenance["notes"] == [
        "Subject00_1.edf: 20 s of rest instead of 60 s",
        "Subject00_2.edf: 20 s of arithmetic instead of 62 s",
    ]


def test_its_features_are_the_differential_entropy_of_the_filtered_recording(root, tmp_path):
    build_table(EegmatReader(), root, tmp_path / "table")
    table = read_table(tmp_path / "table")
    signal = only(EegmatReader().read(root, "Subject00_2.edf")).signal
    for band, edges in enumerate(((1, 4), (4, 8), (8, 14), (14, 31), (31, 50))):
        filtered = sosfiltfilt(butter(4, edges, "bandpass", fs=500, output="sos"), signal)
        for window in (0, 7, 13, 19):
            expected = 0.5 * np.log(2 * np.pi * np.e * filtered[:, window * 500 : (window + 1) * 500].var(axis=1))
            row = np.flatnonzero((table.trial == 7 + window // 10) & (table.window == window % 10))
            np.testing.assert_allclose(table.features[row[0], :, band], expected, rtol=1e-5)


def test_the_real_pair_has_eeg_in_it(root, tmp_path):
    build_table(EegmatReader(), root, tmp_path / "table")
    means = read_table(tmp_path / "table").features.mean(axis=(0, 1))
    # what the 36 subjects have on average, within the spread between subjects
    np.testing.assert_allclose(means, [2.83, 2.48, 2.72, 2.33, 1.34], atol=1.5)


@pytest.mark.parametrize("gone", ["Subject00_1.edf", "Subject00_2.edf"])
def test_a_missing_recording_is_named(root, gone):
    (root / gone).unlink()
    with pytest.raises(CorpusError, match=f"{gone}' is missing: expected both recordings of Subject00, found only"):
        EegmatReader().files(root)


def test_a_file_with_another_name_is_named(root):
    (root / "Subject00_2.edf").rename(root / "Subject0_2.edf")
    with pytest.raises(CorpusError, match=r"Subject0_2.edf' is not a file of eegmat: expected SubjectNN_1.edf"):
        EegmatReader().files(root)


def test_files_that_are_no_recordings_are_left_alone(root):
    (root / "subject-info.csv").write_text("Subject,Age\n")
    (root / "._Subject00_1.edf").write_bytes(b"left by a copy")
    assert EegmatReader().files(root) == ("Subject00_1.edf", "Subject00_2.edf")


def test_a_folder_above_the_recordings_is_pointed_down(root):
    with pytest.raises(CorpusError, match=r"no recordings") as error:
        EegmatReader().files(root.parent)
    assert error.value.hint == f"--root {root} has some."


def test_a_missing_channel_is_named_by_its_new_name(root, tmp_path):
    spoil(root / "Subject00_2.edf", "label", "EEG X3", signal=OLD_LABELS.index("EEG T3"))
    with pytest.raises(
        CorpusError, match=r"Subject00_2.edf has no channel T7: expected Fp1, .*, found EEG Fp1, .*EEG X3"
    ):
        build_table(EegmatReader(), root, tmp_path / "table")


def test_another_sampling_rate_is_refused(tmp_path):
    signal = np.random.default_rng(0).normal(0, 20, (19, 30 * 250)).clip(-190, 190)
    write_edf(tmp_path / "Subject00_1.edf", OLD_LABELS, signal, 250)
    with pytest.raises(CorpusError, match=r"Subject00_1.edf .*expected 500 Hz, found 250 Hz"):
        next(EegmatReader().read(tmp_path, "Subject00_1.edf"))


def test_a_flat_channel_is_refused(tmp_path):
    signal = np.random.default_rng(0).normal(0, 20, (19, 30 * 500)).clip(-190, 190)
    signal[4] = 3.0
    write_edf(tmp_path / "Subject00_1.edf", OLD_LABELS, signal, 500)
    with pytest.raises(CorpusError, match=r"A channel is flat in .*Subject00_1.edf: .*throughout channel F7"):
        next(EegmatReader().read(tmp_path, "Subject00_1.edf"))


def test_a_copy_of_a_recording_under_another_name_is_refused(root, tmp_path):
    shutil.copy(root / "Subject00_1.edf", root / "Subject01_1.edf")
    shutil.copy(root / "Subject00_2.edf", root / "Subject01_2.edf")
    with pytest.raises(CorpusError, match=r"Subject01_1.edf' is a copy of .*Subject00_1.edf'"):
        build_table(EegmatReader(), root, tmp_path / "table")
    assert not (tmp_path / "table").exists()


def test_a_window_longer_than_a_block_is_refused_with_the_file(root, tmp_path):
    with pytest.raises(CorpusError, match=r"Subject00_1.edf: A trial is shorter than a window: expected at least 1 s"):
        build_table(EegmatReader(block_seconds=0.5), root, tmp_path / "table")
