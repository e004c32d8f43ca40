"""What the files beside a recording in a BIDS folder decide, and that those which decide nothing do not block."""

import shutil

import lab_files
import numpy as np
import pytest

from scmmlab.corpora import LeftOut
from scmmlab.corpora.lab.bids import find_sidecar
from scmmlab.corpora.lab.layout import RecordingsSpec
from scmmlab.corpora.lab.recordings import find_recordings
from scmmlab.corpora.mne_recordings import MneReader
from scmmlab.errors import CorpusError

STEM = "sub-01_task-music"
NAMES = lab_files.CHANNELS


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    root = tmp_path_factory.mktemp("bids")
    folder = root / "sub-01/eeg"
    folder.mkdir(parents=True)
    lab_files.write_edf(folder / f"{STEM}_eeg.edf", seed=1)
    return root


@pytest.fixture
def root(written, tmp_path):
    root = tmp_path / "corpus"
    shutil.copytree(written, root)
    write(root, "events.tsv", events())
    return root


def events(header="onset\tduration\ttrial_type"):
    return header + "\n" + "".join(f"{onset:g}\t6\t{name}\n" for onset, name in lab_files.TRIALS)


def write(root, name, content):
    data = content if isinstance(content, bytes) else content.encode()
    (root / f"sub-01/eeg/{STEM}_{name}").write_bytes(data)


def channels(types=("EEG",) * 4, names=NAMES, header="name\ttype"):
    return header + "\n" + "".join(f"{name}\t{kind}\n" for name, kind in zip(names, types, strict=True))


def read(root, **trials):
    layout = lab_files.layout(recordings={"bids": {}}, trials={"kind": "events", **trials})
    return list(MneReader(layout=layout).read(root, f"sub-01/eeg/{STEM}_eeg.edf"))


@pytest.mark.parametrize(
    ("content", "trials"),
    [
        (events("onset   \tduration \t trial_type "), {}),
        (events().replace("\t", ","), {}),
        (events().encode("utf-16"), {}),
        ("\ufeff" + events(), {}),
        (events().replace("\t6\t", "\t6,0\t"), {}),
        ("onset\ttrial_type\n" + "".join(f"{a:g}\t{b}\n" for a, b in lab_files.TRIALS), {"seconds": 6}),
        ("onset\ttrial_type\n" + "".join(f"{a:g}\t{b}\n" for a, b in lab_files.TRIALS), {"length": "until_next"}),
        (events() + "n/a\t6\tcalm\n", {}),
    ],
)  # fmt: skip
def test_events_are_read_however_their_table_is_written(root, content, trials):
    write(root, "events.tsv", content)
    found = [each for each in read(root, **trials) if not isinstance(each, LeftOut)]
    assert [each.trials[0].label for each in found] == [0, 1, 0, 1]


def test_an_event_without_an_onset_is_named(root):
    write(root, "events.tsv", events() + "n/a\t6\tcalm\n")
    assert read(root)[-1] == LeftOut(
        where=f"sub-01/eeg/{STEM}_eeg.edf", what="1 trial", why="states no onset", trials=1
    )


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("events.tsv", "start\tduration\ttrial_type\n", r"_events.tsv' has no column onset: expected it, found start"),
        ("events.tsv", "onset\ttrial_type\n3\tcalm\n", r"_events.tsv' has no column duration: expected it, found"),
        ("events.tsv", events().replace("13", "soon"), r"onset is not a number in line 3 of .*_events.tsv': .*'soon'"),
        ("events.tsv", "", r"_events.tsv' has no column onset: expected it, found nothing"),
        ("channels.tsv", "names\ttype\nFz\tEEG\n", r"_channels.tsv' has no column name: expected it, found"),
        ("channels.tsv", channels(names=("Fz", "Cz", "Pz", "O9")), r"name of .*_channels.tsv' names .*, found O9"),
        ("channels.tsv", channels(names=("Fz", "Cz", "Pz", "Pz")), r"name of .*_channels.tsv' has Pz twice: expected"),
        ("eeg.json", '{"PowerLineFrequency": 50,}', r"_eeg.json' is not JSON: expected an object, found .*line 1"),
        ("eeg.json", "[]", r"_eeg.json' is wrong: expected an object, found list"),
        ("eeg.json", b"\xff\xfe", r"_eeg.json' is not JSON: expected an object, found bytes that are no text"),
        ("eeg.json", '{"RecordingType": "epoched"}', r"no continuous signal: expected .*_eeg.json', found epoched"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_file_beside_a_recording_names_that_file_and_its_column(root, name, content, message):
    write(root, name, content)
    with pytest.raises(CorpusError, match=message):
        read(root)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("participants.tsv", "participant_id,age\nsub-01,20\n"),
        ("participants.tsv", "\n"),
        ("participants.json", "{"),
        ("dataset_description.json", "{"),
        ("sub-01/sub-01_scans.tsv", "filename\tacq_time\neeg/x\tyesterday\n"),
        ("sub-01/eeg/sub-01_electrodes.tsv", "name\tx\ty\tz\nCz\tabc\t0\t0\n"),
        ("sub-01/eeg/sub-01_coordsystem.json", "{"),
        ("sub-01/eeg/sub-01_task-music_events.json", "{"),
        ("sub-01/eeg/sub-01_task-rest_channels.tsv", "nothing"),
    ],
)
def test_what_bears_on_nothing_does_not_block_and_is_named(root, name, content):
    (root / name).write_text(content)
    if "electrodes" in name:
        (root / name.replace("electrodes.tsv", "coordsystem.json")).write_text('{"EEGCoordinateSystem": "Other"}')
    assert len(read(root)) == 4
    layout = lab_files.layout(recordings={"bids": {}}, trials={"kind": "events"})
    assert any(name in each.what for each in MneReader(layout=layout).left_out(root))
    assert name not in MneReader(layout=layout).companions(root)


def test_an_empty_table_of_events_does_not_block_trials_from_elsewhere(root):
    write(root, "events.tsv", "")
    labels = {"kind": "field", "field": "task", "classes": [{"name": n, "values": [n]} for n in ("music", "rest")]}
    layout = lab_files.layout(recordings={"bids": {}}, trials={"kind": "file"}, labels=labels)
    assert len(list(MneReader(layout=layout).read(root, f"sub-01/eeg/{STEM}_eeg.edf"))) == 1


def test_types_and_bad_channels_are_those_of_the_table_in_any_order(root):
    table = "name\ttype\tunits\tstatus\nOz\teog\tuV\tgood\nPz\tEEG\tµV\tbad\nCz\tEEG\tuV\tgood\nFz\tEEG\tuV\tgood\n"
    write(root, "channels.tsv", table.encode("latin-1"))
    first = read(root)[0]
    assert first.channels == ("Fz", "Cz", "Pz")
    assert any("taken all the same: Pz" in note for note in first.notes)


def test_the_file_nearest_to_a_recording_holds(root):
    file = f"sub-01/eeg/{STEM}_eeg.edf"
    names = ["channels.tsv", "task-music_channels.tsv", "sub-01/sub-01_channels.tsv", f"sub-01/eeg/{STEM}_channels.tsv"]
    for name in ("task-rest_channels.tsv", "sub-02_channels.tsv", "xchannels.tsv"):
        (root / name).write_text("")
    for name in names:
        (root / name).write_text("")
        assert find_sidecar(root, file, "channels", ".tsv") == name
    (root / "sub-01/eeg/task-music_sub-01_channels.tsv").write_text("")
    with pytest.raises(
        CorpusError, match=r"Two files say the channels of .*: expected one, found sub-01/.* and sub-01/"
    ):
        find_sidecar(root, file, "channels", ".tsv")


def test_by_date_the_times_of_scans_hold(root):
    later = root / "sub-01/eeg/sub-01_task-rest_eeg.edf"
    lab_files.write_edf(later, seed=2)
    rows = f"filename\tacq_time\neeg/{STEM}_eeg.edf\t2024-05-02T09:00:00\neeg/{later.name}\t2024-05-01T09:00:00Z\n"
    (root / "sub-01/sub-01_scans.tsv").write_text(rows)
    found = find_recordings(RecordingsSpec(bids={}, order="date"), root)
    assert [(each.fields["task"], each.session) for each in found] == [("rest", 1), ("music", 2)]
    (root / "sub-01/sub-01_scans.tsv").write_text(rows.replace("2024-05-02", "2 May"))
    with pytest.raises(CorpusError, match=r"acq_time in line 2 of .*scans.tsv' is not a date: expected .*'2 May"):
        find_recordings(RecordingsSpec(bids={}, order="date"), root)


def test_annotations_of_a_bids_folder_are_its_events(root):
    write(root, "events.tsv", "onset\tduration\tvalue\ttrial_type\n3\t6\tcalm\tn/a\n13\t6\ttense\tn/a\n")
    layout = lab_files.layout(recordings={"bids": {}})
    found = list(MneReader(layout=layout).read(root, f"sub-01/eeg/{STEM}_eeg.edf"))
    assert [each.trials[0].label for each in found] == [0, 1]
    expected = lab_files.make_signal(1)[:, 3 * lab_files.RATE : 9 * lab_files.RATE]
    span = found[0].trials[0]
    got = found[0].signal[:, span.start : span.stop]
    np.testing.assert_allclose(np.diff(got), np.diff(expected), atol=0.02)
