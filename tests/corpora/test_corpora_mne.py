"""A lab's own corpus: subjects, sessions, runs, trials and labels come from where the layout says."""

import shutil

import lab_files
import mne
import numpy as np
import pytest
from reader_conformance import ReaderConformance

from scmmlab.corpora import Recording
from scmmlab.corpora.lab.layout import RecordingsSpec
from scmmlab.corpora.lab.recordings import find_recordings
from scmmlab.corpora.lab.tables import is_same
from scmmlab.corpora.mne_recordings import MneReader
from scmmlab.errors import CorpusError
from scmmlab.tables import build_table, read_table

CLASSES = lab_files.LAYOUT["labels"]["classes"]
CODES = {"kind": "description", "classes": [{"name": "calm", "values": [1]}, {"name": "tense", "values": [2]}]}
REFUSING = {**CODES, "others": "refuse"}


class TestEdfConformance(ReaderConformance):
    def reader(self):
        return MneReader(layout=lab_files.layout(recordings={"files": "{subject}/day{session}.edf"}))

    def fill(self, root):
        for number, file in enumerate(("anna/day1.edf", "anna/day2.edf", "ben/day1.edf")):
            (root / file).parent.mkdir(exist_ok=True)
            lab_files.write_edf(root / file, seed=number)


class TestBdfConformance(ReaderConformance):
    def reader(self):
        recordings = {"files": "s{subject}.bdf"}
        return MneReader(layout=lab_files.layout(recordings=recordings, labels=CODES, trials={"kind": "status"}))

    def fill(self, root):
        for subject in (1, 2):
            lab_files.write_bdf(root / f"s{subject:02d}.bdf", seed=subject)


class TestBidsConformance(ReaderConformance):
    def reader(self):
        return MneReader(layout=lab_files.layout(recordings={"bids": {"task": "music"}}, trials={"kind": "events"}))

    def fill(self, root):
        lab_files.write_bids(root)

    def alter(self, companion):
        if companion.suffix == ".eeg":
            content = bytearray(companion.read_bytes())
            content[5000] ^= 1
            companion.write_bytes(content)
        else:
            super().alter(companion)

    def test_a_root_without_recordings_is_named(self, tmp_path):
        with pytest.raises(
            CorpusError, match=f"{tmp_path}.*is not a BIDS folder: expected folders sub-.*found no such"
        ):
            self.reader().files(tmp_path)


WRITE = {
    "vhdr": lab_files.write_brainvision,
    "set": lab_files.write_eeglab,
    "fif": lab_files.write_fif,
    "cnt": lab_files.write_cnt,
}


@pytest.mark.parametrize("ending", WRITE)
@pytest.mark.parametrize("share", [0, 0.02, 0.5, 0.9, 0.99])
def test_a_truncated_file_of_other_formats_is_named(tmp_path, ending, share):
    path = tmp_path / f"sub1_raw.{ending}"
    WRITE[ending](path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    classes = [{"name": "calm", "values": ["Comment/calm", "calm", 1]}, {"name": "tense", "values": [2]}]
    reader = MneReader(
        layout=lab_files.layout(
            recordings={"files": f"sub{{subject}}_raw.{ending}"},
            trials={"kind": "annotations", "seconds": 6},
            labels={"kind": "description", "classes": classes},
        )
    )
    with pytest.raises(CorpusError, match=rf"sub1_raw.{ending}.*expected .*found "):
        build_table(reader, tmp_path, tmp_path / "tables" / "out")
    assert not list(tmp_path.glob("tables/*"))


def build(tmp_path, root, **changes):
    outcome = build_table(MneReader(layout=lab_files.layout(**changes)), root, tmp_path / "table")
    return outcome, read_table(tmp_path / "table")


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "corpus"
    root.mkdir()
    return root


# --- whose recordings they are ----------------------------------------------------------------------------------------


def recordings_of(root, written, files, order="name"):
    for number, file in enumerate(written):
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        if not (root / file).exists():
            # the later in the list, the earlier recorded
            lab_files.write_edf(root / file, seed=number, date=(1_700_000_000 - 100_000 * number, 0))
    found = find_recordings(RecordingsSpec(files=files, order=order), root)
    return [(each.file, each.subject, each.session, each.run) for each in found]


def test_numbers_in_names_are_kept_and_order_the_files(root):
    files = ["s10_2.edf", "s2_1.edf", "s10_1.edf"]
    assert recordings_of(root, files, files="s{subject}_{session}.edf") == [
        ("s2_1.edf", 2, 1, 0),
        ("s10_1.edf", 10, 1, 0),
        ("s10_2.edf", 10, 2, 0),
    ]


def test_names_that_are_no_numbers_are_numbered_in_their_order_and_kept(root, tmp_path):
    for number, name in enumerate(("p10", "p9", "anna")):
        lab_files.write_edf(root / f"{name}.edf", seed=number)
    _, table = build(tmp_path, root, recordings={"files": "{subject}.edf"})
    assert table.manifest.subjects == {1: "anna", 2: "p9", 3: "p10"}
    assert table.manifest.corpus == "lab"


def test_runs_of_a_session_are_numbered_one_behind_the_other(root, tmp_path):
    for number, run in enumerate(("1", "2", "10")):
        lab_files.write_edf(root / f"s1_run{run}.edf", seed=number)
    _, table = build(tmp_path, root, recordings={"files": "s{subject}_run{run}.edf"})
    assert sorted(set(table.trial.tolist())) == [
        1,
        2,
        3,
        4,
        10_001,
        10_002,
        10_003,
        10_004,
        20_001,
        20_002,
        20_003,
        20_004,
    ]
    assert set(table.session.tolist()) == {1}


def test_by_date_sessions_follow_the_times_that_recordings_state(root):
    files = ["s1_b.edf", "s1_a.edf", "s1_c.edf"]
    found = recordings_of(root, files, files="s{subject}_{session}.edf", order="date")
    assert found == [("s1_c.edf", 1, 1, 0), ("s1_a.edf", 1, 2, 0), ("s1_b.edf", 1, 3, 0)]


def test_by_date_a_day_is_a_session_where_names_say_none(root):
    for number, (name, second) in enumerate((("late", 50_000), ("next", 100_000), ("early", 40_000))):
        lab_files.write_edf(
            root / f"s1_{name}.edf", seed=number, date=(1_700_000_000 - 1_700_000_000 % 86400 + second, 0)
        )
    found = recordings_of(root, [], files="s{subject}_{part}.edf", order="date")
    assert found == [("s1_early.edf", 1, 1, 0), ("s1_late.edf", 1, 1, 1), ("s1_next.edf", 1, 2, 0)]


def test_by_date_two_recordings_of_one_time_are_refused(root):
    for number in (1, 2):
        lab_files.write_edf(root / f"s1_{number}.edf", seed=number)
    with pytest.raises(CorpusError, match=r"s1_2.edf' states the same time as .*s1_1.edf': expected .*, found 2023"):
        recordings_of(root, [], files="s{subject}_{session}.edf", order="date")


def test_by_date_a_recording_is_read_without_those_of_other_subjects(root):
    lab_files.write_edf(root / "s1_1.edf")
    (root / "s2_1.edf").write_bytes(b"damaged")
    reader = MneReader(layout=lab_files.layout(recordings={"files": "s{subject}_{session}.edf", "order": "date"}))
    assert len(list(reader.read(root, "s1_1.edf"))) == 4
    with pytest.raises(CorpusError, match=r"s2_1.edf"):
        reader.files(root)


def test_by_date_a_recording_without_a_date_is_named(root):
    lab_files.make_raw(date=None).save(root / "s1_raw.fif", verbose="ERROR")
    with pytest.raises(CorpusError, match=r"s1_raw.fif' does not say when it was recorded: expected .*, found none"):
        recordings_of(root, [], files="s{subject}_raw.fif", order="date")


def test_two_names_of_one_number_are_refused(root):
    with pytest.raises(CorpusError, match=r"do not tell each subject: expected different numbers .*, found .*01"):
        recordings_of(root, ["s1.edf", "s01.edf"], files="s{subject}.edf")


def test_a_field_that_stands_twice_must_be_the_same_text(root):
    files = ["1/s1.edf", "1/s2.edf", "2/s2.edf"]
    found = recordings_of(root, files, files="{subject}/s{subject}.edf")
    assert [file for file, *_ in found] == ["1/s1.edf", "2/s2.edf"]


def test_what_stands_between_fields_stands_for_itself(root):
    assert [file for file, *_ in recordings_of(root, ["s[1].edf", "s1.edf"], files="s[{subject}].edf")] == ["s[1].edf"]


# --- where trials and labels come from --------------------------------------------------------------------------------


def spans(root, file, **changes):
    reader = MneReader(layout=lab_files.layout(**changes))
    return [
        (each.trials[0].trial, each.trials[0].label, each.trials[0].stop - each.trials[0].start)
        for each in reader.read(root, file)
        if isinstance(each, Recording)
    ]


SECOND = lab_files.RATE


def test_trials_reach_until_the_next_mark_and_the_last_to_the_end(root):
    lab_files.write_edf(root / "sub1.edf")
    found = spans(root, "sub1.edf", trials={"kind": "annotations", "length": "until_next"})
    assert found == [(1, 0, 10 * SECOND), (2, 1, 10 * SECOND), (3, 0, 10 * SECOND), (4, 1, 11 * SECOND)]


def test_trials_reach_until_the_marks_that_end_them(root):
    lab_files.write_bdf(root / "sub1.bdf")
    changes = {"recordings": {"files": "sub{subject}.bdf"}, "labels": CODES}
    assert spans(root, "sub1.bdf", trials={"kind": "status"}, **changes)[0] == (1, 0, 6 * SECOND)
    assert spans(root, "sub1.bdf", trials={"kind": "status", "ends": [9]}, **changes)[0] == (1, 0, 6 * SECOND)
    assert spans(root, "sub1.bdf", trials={"kind": "status", "ends": [7]}, **changes)[0] == (1, 0, 10 * SECOND)


def test_a_trial_of_no_class_ends_the_one_before_and_is_left_out(root):
    lab_files.write_edf(root / "sub1.edf")
    labels = {"kind": "description", "classes": [CLASSES[0], {"name": "other", "values": ["other"]}]}
    found = spans(root, "sub1.edf", trials={"kind": "annotations", "length": "until_next"}, labels=labels)
    assert found == [(1, 0, 10 * SECOND), (2, 0, 10 * SECOND)]


def test_the_start_of_a_trial_can_be_left_out_and_the_rest_cut_into_blocks(root):
    lab_files.write_edf(root / "sub1.edf")
    found = spans(root, "sub1.edf", trials={"kind": "annotations", "skip_s": 1, "block_s": 2})
    assert found[:3] == [(1, 0, 2 * SECOND), (2, 0, 3 * SECOND), (3, 1, 2 * SECOND)]
    assert len(found) == 8


def test_a_whole_file_is_a_trial_whose_class_its_name_says(root, tmp_path):
    for number, name in enumerate(("s1_rest", "s1_task", "s2_rest", "s2_task")):
        lab_files.write_edf(root / f"{name}.edf", seed=number)
    classes = [{"name": "rest", "values": ["rest"]}, {"name": "task", "values": ["task"]}]
    _, table = build(
        tmp_path,
        root,
        recordings={"files": "s{subject}_{condition}.edf"},
        trials={"kind": "file", "block_s": 11},
        labels={"kind": "field", "field": "condition", "classes": classes},
    )
    assert sorted(set(table.trial.tolist())) == [1, 2, 3, 4, 10_001, 10_002, 10_003, 10_004]
    assert len(table) == 4 * 44
    assert set(table.label[table.trial < 10_000]) == {0}


def write_trials_csv(root, rows, name="trials.csv", separator=","):
    lines = ["participant,file,begin,seconds,valence", *rows]
    (root / name).write_text("\n".join(lines).replace(",", separator) + "\n")


TABLE = {"kind": "table", "file": "trials.csv", "match": {"subject": "participant"}, "onset": "begin",
         "duration": "seconds"}  # fmt: skip
RATINGS = {
    "kind": "column",
    "column": "valence",
    "classes": [{"name": "low", "below": 4}, {"name": "high", "at_least": 6}],
}


@pytest.mark.parametrize("separator", [",", ";"])
def test_trials_come_from_a_table_and_their_classes_from_ratings(root, separator):
    lab_files.write_edf(root / "sub1.edf")
    rows = ["01,sub1.edf,23,6,8", "01,sub1.edf,3,6,3.9", "2,sub2.edf,3,6,1", "1,sub1.edf,13,6,5"]
    write_trials_csv(root, rows, separator=separator)
    assert spans(root, "sub1.edf", trials=TABLE, labels=RATINGS) == [(1, 0, 6 * SECOND), (2, 1, 6 * SECOND)]


def test_a_table_may_be_one_a_recording_and_name_the_file(root):
    for number in (1, 2):
        lab_files.write_edf(root / f"sub{number}.edf", seed=number)
        write_trials_csv(root, [f"x,sub{number}.edf,{number},5,{3 * number}", "x,other.edf,9,9,9"], f"t{number}.csv")
    table = {**TABLE, "file": "t{subject}.csv", "match": {"file": "file"}}
    assert spans(root, "sub1.edf", trials=table, labels=RATINGS) == [(1, 0, 5 * SECOND)]
    assert spans(root, "sub2.edf", trials=table, labels=RATINGS) == [(1, 1, 5 * SECOND)]


def test_a_name_that_lacks_a_field_of_its_table_is_named(root):
    lab_files.write_bids(root)
    table = {**TABLE, "file": "run{run}.csv", "match": {}}
    reader = MneReader(layout=lab_files.layout(recordings=BIDS["recordings"], trials=table, labels=RATINGS))
    with pytest.raises(CorpusError, match=r"_eeg.vhdr' has no run: expected it for the table 'run\{run\}.csv', found"):
        reader.companions(root)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("01", 1, True), ("1.0", "1", True), ("-3", -3.0, True), (" a ", "a", True), ("S  1", "S  1", True),
        ("1_1", "11", False), ("1e1", "10", False), ("nan", "nan", True), ("a", "A", False), ("", "", True),
    ],
)  # fmt: skip
def test_values_are_the_same_as_texts_or_as_plain_numbers(one, other, same):
    assert is_same(one, other) is same


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["2,x,3,6,8"], r"trials.csv' has no row for 'sub1.edf': expected participant 1, found 1 rows of others"),
        (["1,x,soon,6,8"], r"begin is not a number in line 2 of .*trials.csv': expected seconds, found 'soon'"),
        (["1,x,3,long,8"], r"seconds is not a number in line 2 of .*trials.csv': expected seconds, found 'long'"),
        (["1,x,3,,8"], r"states no length: expected a duration above 0 s, found nan at 3.000 s"),
        (["1,x,3,6"], r"Line 2 of .*trials.csv' is not whole: expected 5 values, found 4"),
        (["1,x,40,6,8"], r"not inside .*sub1.edf': expected 44.000 s at most, found a trial from 40.000 s to 46.000 s"),
        (["1,x,-1,6,8"], r"not inside .*sub1.edf': expected .*, found a trial from -1.000 s"),
        (["1,x,3,6,8", "1,x,5,6,8"], r"overlap in .*sub1.edf': expected each to start after .* 9.000 s, found .* 5.0"),
        (["1,x,3,6,5"], r"valence in line 2 of .*trials.csv' stands for no class: expected below 4 .*, found '5'"),
        (["1,x,3,6,high"], r"valence is not a number in line 2 of .*trials.csv': expected a number, .*, found 'high'"),
    ],
)  # fmt: skip
def test_a_table_that_is_wrong_is_refused(root, rows, message):
    lab_files.write_edf(root / "sub1.edf")
    write_trials_csv(root, rows)
    with pytest.raises(CorpusError, match=message):
        spans(root, "sub1.edf", trials=TABLE, labels={**RATINGS, "others": "refuse"})


def test_a_column_that_is_missing_is_named_with_the_nearest(root):
    lab_files.write_edf(root / "sub1.edf")
    write_trials_csv(root, ["1,x,3,6,8"])
    for trials, labels in (({**TABLE, "onset": "begins"}, RATINGS), (TABLE, {**RATINGS, "column": "valense"})):
        with pytest.raises(CorpusError, match=r"has no column (begins|valense): expected .*, found .*begin") as error:
            spans(root, "sub1.edf", trials=trials, labels=labels)
        assert error.value.hint in ("did you mean 'begin'?", "did you mean 'valence'?")


def test_values_of_two_classes_are_refused(root):
    lab_files.write_edf(root / "sub1.edf")
    write_trials_csv(root, ["1,x,3,6,5"])
    labels = {**RATINGS, "classes": [{"name": "low", "below": 6}, {"name": "high", "at_least": 5}]}
    with pytest.raises(CorpusError, match=r"'5' stands for two classes: expected one, found low and high"):
        spans(root, "sub1.edf", trials=TABLE, labels=labels)


def test_no_trial_says_what_the_recording_has(root):
    lab_files.write_edf(root / "sub1.edf")
    with pytest.raises(CorpusError, match=r"no trial in .*sub1.edf': expected '1' \(calm\) or '2' .*found 'calm', 'te"):
        spans(root, "sub1.edf", trials={"kind": "annotations", "ends": ["calm", "tense"]}, labels=REFUSING)


# --- BIDS -------------------------------------------------------------------------------------------------------------

BIDS = {"recordings": {"bids": {"task": "music"}}, "trials": {"kind": "events"}}


@pytest.mark.parametrize("form", ["BrainVision", "EDF", "EEGLAB", "BDF"])
def test_bids_folders_of_each_format_give_subjects_sessions_and_trials(root, tmp_path, form):
    lab_files.write_bids(root, sessions=("1", "2"), form=form)
    _, table = build(tmp_path, root, **BIDS)
    assert table.manifest.subjects == {1: "01", 2: "02"}
    assert sorted(set(zip(table.subject.tolist(), table.session.tolist(), strict=True))) == [
        (1, 1), (1, 2), (2, 1), (2, 2)]  # fmt: skip
    assert len(table) == 2 * 2 * 4 * 6
    np.testing.assert_array_equal(table.label, (table.trial - 1) % 2)
    # what alpha power makes plain: the trials lie where the signal has them
    alpha = table.features[:, :, 2].mean(axis=1)
    assert alpha[table.label == 1].min() > alpha[table.label == 0].max()


def test_endings_in_capitals_are_read(root, tmp_path):
    lab_files.write_bids(root, form="EDF")
    for file in root.glob("sub-*/ses-1/eeg/*.edf"):
        file.rename(file.with_suffix(".EDF"))
    assert len(build(tmp_path, root, **BIDS)[1]) == 2 * 4 * 6
    (root / "s1.EDF").symlink_to(next(root.glob("sub-01/ses-1/eeg/*.EDF")))
    assert len(spans(root, "s1.EDF", recordings={"files": "s{subject}.EDF"})) == 4


def test_classes_come_from_the_table_of_the_participants(root, tmp_path):
    lab_files.write_bids(root)
    (root / "participants.tsv").write_text("participant_id\tgroup\nsub-02\tpatient\nsub-01\tcontrol\n")
    classes = [{"name": "control", "values": ["control"]}, {"name": "patient", "values": ["patient"]}]
    labels = {"kind": "participant", "column": "group", "classes": classes}
    _, table = build(tmp_path, root, recordings=BIDS["recordings"], trials=BIDS["trials"], labels=labels)
    np.testing.assert_array_equal(table.label, table.subject - 1)
    (root / "participants.tsv").write_text("participant_id\tgroup\nsub-02\tpatient\n02\tcontrol\n")
    with pytest.raises(
        CorpusError, match=r"participants.tsv' does not say the class of .*: expected one row .* 02, found 2"
    ):
        build(tmp_path, root, recordings=BIDS["recordings"], trials=BIDS["trials"], labels=labels)


def test_channels_that_the_bids_folder_says_are_no_eeg_are_left_out_and_bad_ones_noted(root, tmp_path):
    lab_files.write_bids(root)
    for file in root.glob("sub-*/ses-1/eeg/*_channels.tsv"):
        lines = file.read_text().splitlines()
        lines[4] = lines[4].replace("EEG", "EOG")
        lines[1] = lines[1].replace("good", "bad")
        file.write_text("\n".join(lines) + "\n")
    _, table = build(tmp_path, root, **BIDS)
    assert table.manifest.channels == ("Fz", "Cz", "Pz")
    assert any("marked as bad and taken all the same: Fz" in note for note in table.manifest.provenance["notes"])


def test_a_recording_without_events_is_named(root):
    lab_files.write_bids(root)
    next(root.glob("sub-01/ses-1/eeg/*_events.tsv")).unlink()
    reader = MneReader(layout=lab_files.layout(**BIDS))
    with pytest.raises(CorpusError, match=r"sub-01_ses-1_task-music_eeg.vhdr' has no events: expected an events.tsv"):
        next(reader.read(root, reader.files(root)[0]))


def test_a_folder_above_the_bids_folder_is_pointed_down(root):
    lab_files.write_bids(root)
    with pytest.raises(CorpusError, match="is not a BIDS folder") as error:
        MneReader(layout=lab_files.layout(**BIDS)).files(root.parent)
    assert error.value.hint == f"--root {root} has some."


# --- channels ---------------------------------------------------------------------------------------------------------


def signals(root, **signal):
    lab_files.write_fif(root / "sub1_raw.fif", overwrite=True)
    layout = lab_files.layout(recordings={"files": "sub{subject}_raw.fif"}, signal=signal)
    return next(MneReader(layout=layout).read(root, "sub1_raw.fif"))


def test_channels_are_renamed_dropped_and_ordered(root):
    assert signals(root, rename={"Fz": "F0"}, drop=["Oz"]).channels == ("F0", "Cz", "Pz")
    assert signals(root, rename={"Fz": "F0"}, channels=["Oz", "F0"]).channels == ("Oz", "F0")


def test_a_channel_that_is_missing_is_named_with_the_nearest(root):
    with pytest.raises(CorpusError, match=r"has channel Ozz 0 times: expected it once, found Fz, Cz, Pz, Oz") as error:
        signals(root, channels=["Fz", "Ozz"])
    assert error.value.hint == "did you mean 'Oz'?"


def test_references_are_subtracted(root):
    recorded = signals(root).signal
    np.testing.assert_allclose(signals(root, reference="average").signal, recorded - recorded.mean(axis=0), atol=1e-9)
    to_two = signals(root, reference_channels=["Fz", "Oz"])
    assert to_two.channels == ("Cz", "Pz")
    np.testing.assert_allclose(to_two.signal, recorded[1:3] - recorded[[0, 3]].mean(axis=0), atol=1e-9)


def test_the_notch_takes_out_its_frequency_and_leaves_the_others(root):
    time_s = np.arange(lab_files.SECONDS * SECOND) / SECOND
    raw = lab_files.make_raw()
    hum = 50 * np.sin(2 * np.pi * 40 * time_s) * 1e-6
    mne.io.RawArray(raw.get_data() + hum, raw.info, verbose="ERROR").set_annotations(raw.annotations).save(
        root / "sub2_raw.fif", verbose="ERROR"
    )
    layout = lab_files.layout(recordings={"files": "sub{subject}_raw.fif"}, signal={"notch": [40]})
    notched = list(MneReader(layout=layout).read(root, "sub2_raw.fif"))[1]
    (span,) = notched.trials
    clean = list(MneReader(layout=lab_files.layout(recordings=layout["recordings"])).read(
        root, "sub2_raw.fif"))[1]  # fmt: skip

    def power(recording, frequency):
        spectrum = np.abs(np.fft.rfft(recording.signal[0, span.start : span.stop])) ** 2
        return spectrum[round(frequency * 6)]

    assert power(notched, 40) < power(clean, 40) / 1000
    assert 0.98 < power(notched, 10) / power(clean, 10) < 1.02


def test_another_sampling_rate_than_the_layout_says_is_refused(root):
    with pytest.raises(CorpusError, match=r"another sampling rate: expected 256 Hz as the layout says, found 128 Hz"):
        signals(root, sampling_rate=256)


def test_recordings_of_other_channels_are_refused(root, tmp_path):
    for number in (1, 2):
        lab_files.make_raw(number).pick(lab_files.CHANNELS[: 5 - number]).save(
            root / f"sub{number}_raw.fif", verbose="ERROR"
        )
    with pytest.raises(CorpusError, match=r"sub2_raw.fif is unlike the files before it: expected channels .*Oz.*found"):
        build(tmp_path, root, recordings={"files": "sub{subject}_raw.fif"})
    reader = MneReader(layout=lab_files.layout(recordings={"files": "sub{subject}_raw.fif"}))
    (wrong,) = [finding for finding in reader.check(root) if not finding.ok]
    assert wrong.fact == "same channels"
    assert wrong.found == "in 1 recordings Fz Cz Pz Oz; in 1 recordings Fz Cz Pz"


def test_a_trial_that_is_too_long_for_the_memory_names_the_setting(root, monkeypatch):
    monkeypatch.setattr("scmmlab.corpora.lab.signal.MOST_VALUES", 4 * 10 * SECOND)
    with pytest.raises(CorpusError, match=r"too long .*: expected at most 10 s of 4 channels, found 13 s") as error:
        signals(root)
    assert "trials.block_s" in error.value.hint


# --- what makes a table another ---------------------------------------------------------------------------------------


def test_the_order_of_the_classes_makes_another_table(root, tmp_path):
    lab_files.write_edf(root / "sub1.edf")
    first = build(tmp_path, root)[0].manifest
    second = build(tmp_path, root, labels={"kind": "description", "classes": CLASSES[::-1]})[0]
    assert second.status == "rebuilt"
    assert second.manifest.classes == first.classes[::-1]
    assert second.manifest.build != first.build


def test_a_copied_signal_under_another_name_is_refused(root, tmp_path):
    recordings = {"files": "sub{subject}.vhdr"}
    values = [{"name": name, "values": [f"Comment/{name}"]} for name in ("calm", "tense")]
    labels = {"kind": "description", "classes": values}
    for number in (1, 2):
        lab_files.write_brainvision(root / f"sub{number}.vhdr", seed=number)
    build(tmp_path, root, recordings=recordings, labels=labels)
    shutil.copy(root / "sub1.eeg", root / "sub2.eeg")
    with pytest.raises(CorpusError, match=r"sub2.eeg' is a copy of .*sub1.eeg': expected different recordings"):
        build(tmp_path, root, recordings=recordings, labels=labels)
    findings = MneReader(layout=lab_files.layout(recordings=recordings, labels=labels)).check(root)
    wrong, signal = [finding for finding in findings if not finding.ok]
    assert (signal.where, signal.fact) == ("sub2.vhdr", "signal")
    assert "sub2.eeg' is a copy of" in wrong.fact


def test_an_examination_goes_on_after_a_mistake_and_says_each_once(root):
    for number in (1, 2, 3):
        lab_files.write_brainvision(root / f"sub{number}.vhdr", seed=number)
    (root / "sub1.eeg").unlink()
    (root / "sub2.vmrk").write_bytes(b"")
    values = [{"name": name, "values": [f"Comment/{name}"]} for name in ("calm", "tense", "other")]
    labels = {"kind": "description", "classes": values}
    reader = MneReader(layout=lab_files.layout(recordings={"files": "sub{subject}.vhdr"}, labels=labels))
    wrong = [finding for finding in reader.check(root) if not finding.ok]
    assert [finding.where for finding in wrong] == ["sub1.vhdr", "."]
    assert "names a file that is not there" in wrong[0].fact
    assert (wrong[1].fact, wrong[1].found) == ("class other", "trials in 0 recordings")
    assert all(finding.expected and finding.found and finding.remedy for finding in wrong)


def test_a_copied_folder_that_is_renamed_gives_the_same_build(root, tmp_path):
    lab_files.write_bids(root)
    before = build(tmp_path, root, **BIDS)[0].manifest.build
    shutil.copytree(root, tmp_path / "copy")
    assert build(tmp_path, tmp_path / "copy", **BIDS)[0].manifest.build == before
