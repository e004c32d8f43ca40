"""DEAP's raw recordings: videos by the codes of the status channel, channels by their names."""

import shutil

import mne
import numpy as np
import pytest
from bdf_files import write_bdf
from edf_files import spoil
from pydantic import ValidationError
from reader_conformance import ReaderConformance

from scmmlab.corpora.deap import DeapReader
from scmmlab.corpora.deap_raw import RawRecording
from scmmlab.corpora.fakes import write_fake
from scmmlab.corpora.fakes.deap import DeapFake
from scmmlab.errors import CorpusError

# fmt: off
TWENTE = [
    "Fp1", "AF3", "F7", "F3", "FC1", "FC5", "T7", "C3", "CP1", "CP5", "P7", "P3", "Pz", "PO3", "O1", "Oz",
    "O2", "PO4", "P4", "P8", "CP6", "CP2", "C4", "T8", "FC6", "FC2", "F4", "F8", "AF4", "Fp2", "Fz", "Cz",
]
GENEVA = [
    "Fp1", "AF3", "F3", "F7", "FC5", "FC1", "C3", "T7", "CP5", "CP1", "P3", "P7", "PO3", "O1", "Oz", "Pz",
    "Fp2", "AF4", "Fz", "F4", "F8", "FC6", "FC2", "Cz", "C4", "T8", "CP6", "CP2", "P4", "P8", "PO4", "O2",
]
# fmt: on
RATE, VIDEOS = 512, 40
RAW = "data_original/s01.bdf"
GAPS_S = np.random.default_rng(1).permutation(VIDEOS) % 7 + 6
STARTS_S = 6 + np.cumsum(60 + GAPS_S) - 60
SECONDS = int(STARTS_S[-1]) + 70
ORDER = 1 + np.random.default_rng(2).permutation(VIDEOS)
"""Which video each trial was."""
STEP_UV = 524288 / (2**24 - 1)


def volume(channel, trial):
    """The size of a channel's signal in µV during a trial, from 1: no two are the same."""
    return 5 + GENEVA.index(channel) + trial / 100


def status():
    codes = np.zeros(SECONDS * RATE, np.int32)
    for start in STARTS_S:
        for second, code in ((start - 5, 3), (start, 4), (start + 60, 5)):
            codes[second * RATE + 7 : second * RATE + 20] = code
    codes[RATE : 2 * RATE] = 1
    codes[-RATE:] = 7
    return codes


def write_recording(path, order, last=("EXG1", "Status")):
    """Alternating ±volume: every window has that mean size. The whole has an offset, and a hum in all channels."""
    sign = np.where(np.arange(SECONDS * RATE) % 16 < 8, 1.0, -1.0)
    trial_of = np.zeros(SECONDS * RATE)
    for trial, start in enumerate(STARTS_S, start=1):
        trial_of[(start - 3) * RATE : (start + 63) * RATE] = trial
    hum = 200 * np.sin(2 * np.pi * 50 * np.arange(SECONDS * RATE) / RATE)
    rows = np.zeros((len(order) + len(last), SECONDS * RATE), np.int32)
    for row, name in enumerate(order):
        # every other channel upside down, so that the mean of all is small beside the hum
        size = volume(name, trial_of) * (1 if GENEVA.index(name) % 2 else -1)
        rows[row] = np.round((-3000 * (row + 1) + hum + size * sign) / STEP_UV)
    rows[-1] = status()
    write_bdf(path, [*order, *last], rows, RATE)


def write_ratings(path, subject=1, starts=STARTS_S):
    lines = ["Participant_id,Trial,Experiment_id,Start_time,Valence,Arousal,Dominance,Liking,Familiarity"]
    for trial, (video, start) in enumerate(zip(ORDER, starts, strict=True), start=1):
        lines.append(f"{subject},{trial},{video},{1_000_000 * start},{1 + video / 5},{9 - video / 5},5,5,1")
    path.write_text("\n".join(lines))


def put_status(path, codes, place=-1):
    """Overwrite a channel's numbers in the file."""
    header = path.read_bytes()[: 256 * 200]
    signals = int(header[252:256])
    records = np.memmap(path, np.uint8, "r+", 256 * (signals + 1)).reshape(SECONDS, signals, RATE, 3)
    numbers = (codes.astype(np.int64) % 2**24).reshape(SECONDS, RATE)
    for byte in range(3):
        records[:, place, :, byte] = numbers // 256**byte % 256
    records.flush()


def put_label(path, place, label):
    with path.open("r+b") as file:
        file.seek(256 + 16 * place)
        file.write(label.encode().ljust(16))


@pytest.fixture(scope="session")
def one_subject(tmp_path_factory):
    folder = tmp_path_factory.mktemp("deap_raw") / "corpus"
    (folder / "data_original").mkdir(parents=True)
    (folder / "metadata_csv").mkdir()
    write_recording(folder / RAW, TWENTE)
    write_ratings(folder / "metadata_csv" / "participant_ratings.csv")
    return folder


@pytest.fixture
def root(one_subject, tmp_path):
    """A copy that may be altered."""
    yield shutil.copytree(one_subject, tmp_path / "corpus")
    shutil.rmtree(tmp_path / "corpus")


@pytest.mark.slow
class TestDeapRawConformance(ReaderConformance):
    @pytest.fixture(autouse=True)
    def _source(self, one_subject):
        self.source = one_subject

    def reader(self):
        return DeapReader(source="raw")

    def fill(self, root):
        shutil.copytree(self.source, root, dirs_exist_ok=True)


def test_trials_are_the_videos_in_time_with_channels_by_name_and_labels_by_rating(one_subject):
    reader = DeapReader(source="raw", reference="none")
    assert reader.files(one_subject) == (RAW,)
    recordings = list(reader.read(one_subject, RAW))
    assert [recording.trials[0].trial for recording in recordings] == list(range(1, VIDEOS + 1))
    for trial in (1, 17, 40):
        recording = recordings[trial - 1]
        assert recording.channels == tuple(GENEVA)
        (span,) = recording.trials
        assert (span.start, span.stop - span.start) == (3 * RATE, 60 * RATE)
        assert span.label == int(1 + ORDER[trial - 1] / 5 >= 5)
        # a window of 50 whole periods of the hum, which the alternation of 32 Hz has nothing to do with
        window = recording.signal[:, span.start : span.start + RATE]
        alternation = np.where(np.arange(7, 7 + RATE) % 16 < 8, 1.0, -1.0)
        found = np.abs(window @ alternation) / RATE
        np.testing.assert_allclose(found, [volume(name, trial) for name in GENEVA], atol=0.05)
        np.testing.assert_allclose(recording.signal.mean(axis=1), 0, atol=1e-9)


def test_the_average_of_the_channels_is_taken_off_unless_told_otherwise(one_subject):
    alone = next(DeapReader(source="raw", reference="none").read(one_subject, RAW)).signal
    averaged = next(DeapReader(source="raw").read(one_subject, RAW)).signal
    np.testing.assert_allclose(averaged, alone - alone.mean(axis=0), atol=1e-9)
    assert np.abs(alone).mean() > 100
    assert np.abs(averaged).mean() < 30


def test_videos_begin_where_the_code_does(one_subject):
    recording = RawRecording(one_subject / RAW)
    assert recording.starts == [second * RATE + 7 for second in STARTS_S.tolist()]
    assert recording.codes == {1: 1, 3: 40, 4: 40, 5: 40, 7: 1}


def test_mne_finds_the_same_videos(one_subject):
    raw = mne.io.read_raw_bdf(one_subject / RAW, include=["Status"], verbose="ERROR")
    events = mne.find_events(
        raw, "Status", consecutive=True, shortest_event=1, mask=0xFF, mask_type="and", verbose="ERROR"
    )
    assert RawRecording(one_subject / RAW).starts == events[events[:, 2] == 4, 0].tolist()


def test_a_check_says_what_the_status_channel_holds(one_subject):
    findings = list(DeapReader(source="raw").check(one_subject))
    assert all(finding.ok for finding in findings)
    assert findings[2].found == "codes 1 1 times, 3 40 times, 4 40 times, 5 40 times, 7 1 times"


@pytest.mark.parametrize(("first", "last"), [("EXG1", ""), ("", ""), ("-0", "-1"), ("EXG1", "status")])
def test_the_status_channel_is_found_by_each_of_its_names(root, first, last):
    # what the other one without a name holds would be 40 videos as well, elsewhere
    put_status(root / RAW, np.roll(status(), 3 * RATE), place=-2)
    put_label(root / RAW, len(TWENTE), first)
    put_label(root / RAW, len(TWENTE) + 1, last)
    assert RawRecording(root / RAW).starts[0] == STARTS_S[0] * RATE + 7


@pytest.mark.parametrize("bits", [0x18FF00, 0x100000, 0xFFFF00 - 2**24])
def test_bits_above_the_code_do_not_matter(root, bits):
    put_status(root / RAW, status() | bits)
    assert RawRecording(root / RAW).starts == [second * RATE + 7 for second in STARTS_S.tolist()]


def test_codes_that_follow_each_other_without_a_pause_are_told_apart(root):
    codes = status()
    held = np.maximum.accumulate(np.where(codes > 0, np.arange(len(codes)), 0))
    put_status(root / RAW, codes[held])
    assert RawRecording(root / RAW).starts == [second * RATE + 7 for second in STARTS_S.tolist()]


def without_the_last_video(codes):
    codes[STARTS_S[-1] * RATE : STARTS_S[-1] * RATE + 20] = 0


def with_a_video_that_ends_early(codes):
    codes[(STARTS_S[2] + 31) * RATE] = 5


def with_a_video_too_late(codes):
    codes[STARTS_S[-1] * RATE : STARTS_S[-1] * RATE + 20] = 0
    codes[-30 * RATE] = 4


def with_a_video_too_early(codes):
    codes[STARTS_S[0] * RATE : STARTS_S[0] * RATE + 20] = 0
    codes[0] = 4


@pytest.mark.parametrize(
    ("alter", "message"),
    [
        (
            without_the_last_video,
            r"not have all videos: expected code 4 .* 40 times, found it 39 times \(codes 1 1 times",
        ),
        (
            with_a_video_that_ends_early,
            r"Video 3 in .* is not whole: expected 3 s before it and 60 s of it, .*30.986 s",
        ),
        (with_a_video_too_late, r"Video 40 in .* not whole: .*found .* s and 20.0\d\d s"),
        (with_a_video_too_early, r"Video 1 in .* not whole: .*found 0.000 s and"),
        (lambda codes: codes.fill(0), r"found it 0 times \(codes none\)"),
    ],
)
def test_codes_without_40_whole_videos_are_refused(root, alter, message):
    codes = status()
    alter(codes)
    put_status(root / RAW, codes)
    with pytest.raises(CorpusError, match=message):
        next(DeapReader(source="raw").read(root, RAW))


@pytest.mark.parametrize(
    ("place", "label", "message"),
    [
        (3, "A4", r"s01.bdf has no channel F3: expected Fp1, .*found Fp1, AF3, F7, A4"),
        (3, "Cz", r"has no channel F3"),
        (32, "CZ", r"has channel Cz more than once: expected one, found 2"),
        (33, "EXG8", r"has no status channel: expected 'Status' or one without a name, found Fp1"),
    ],
)
def test_channels_that_are_not_deaps_are_refused(root, place, label, message):
    put_label(root / RAW, place, label)
    with pytest.raises(CorpusError, match=message):
        RawRecording(root / RAW)


@pytest.mark.parametrize(("unit", "factor"), [("mV", 1e3), ("V", 1e6), ("nS", None)])
def test_a_channel_is_in_the_voltage_that_it_states(root, unit, factor):
    right = RawRecording(root / RAW).video(0)[0]
    spoil(root / RAW, "unit", unit, signal=GENEVA.index("Fp1"))
    if factor is None:
        with pytest.raises(CorpusError, match=r"unit of Fp1: expected uV or .*, found 'nS'"):
            RawRecording(root / RAW)
    else:
        found = RawRecording(root / RAW).video(0)[0]
        np.testing.assert_allclose(found[0], factor * right[0], rtol=1e-9)
        np.testing.assert_array_equal(found[1:], right[1:])


def test_another_sampling_rate_is_refused(tmp_path):
    write_bdf(tmp_path / "s01.bdf", [*GENEVA, "Status"], np.zeros((33, 2560), np.int32), 256)
    with pytest.raises(CorpusError, match=r"another sampling rate: expected 512 Hz, found 256 Hz in channel Fp1"):
        RawRecording(tmp_path / "s01.bdf")


def test_a_recording_of_another_subject_is_known_by_its_pauses(root):
    other = 6 + np.cumsum(60 + np.random.default_rng(9).permutation(GAPS_S))
    write_ratings(root / "metadata_csv" / "participant_ratings.csv", starts=other)
    with pytest.raises(CorpusError, match=r"s01.bdf does not fit .*ratings.csv: expected the times between the videos"):
        next(DeapReader(source="raw").read(root, RAW))
    assert next(DeapReader(source="raw", time_order="trial").read(root, RAW)).trials[0].trial == 1


def test_raw_recordings_need_the_ratings(root):
    (root / "metadata_csv" / "participant_ratings.csv").unlink()
    with pytest.raises(CorpusError, match=r"participant_ratings.csv' is missing: expected it for the labels"):
        DeapReader(source="raw").files(root)


def test_raw_recordings_have_no_order_of_videos():
    with pytest.raises(ValidationError, match="time_order must be checked, trial or start_time where source is raw"):
        DeapReader(source="raw", time_order="file")


@pytest.mark.slow
@pytest.mark.parametrize(("subject", "signals"), [(22, 48), (23, 48), (28, 48), (32, 49)])
def test_the_fake_of_each_lab_is_read(tmp_path, subject, signals):
    list(write_fake(DeapFake(release="raw", small=True, subjects=1, first_subject=subject), tmp_path / "corpus"))
    path = tmp_path / "corpus" / f"data_original/s{subject}.bdf"
    with path.open("rb") as file:
        header = file.read(256 * 50)
    assert int(header[252:256]) == signals
    assert header[256 : 256 + 16 * 4].decode().split() == (TWENTE if subject == 22 else GENEVA)[:4]
    assert len(list(DeapReader(source="raw").read(tmp_path / "corpus", f"data_original/s{subject}.bdf"))) == 40
    shutil.rmtree(tmp_path / "corpus")
