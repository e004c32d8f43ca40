"""A trial whose mark lies outside of the data is refused in every format; MNE would drop the mark, or clip it."""

import struct

import lab_files
import mne
import numpy as np
import pytest

from scmmlab.corpora import LeftOut
from scmmlab.corpora.mne_recordings import MneReader
from scmmlab.errors import CorpusError

RATE = lab_files.RATE
COMMENTS = {
    "kind": "description",
    "classes": [{"name": name, "values": [f"Comment/{name}"]} for name in ("calm", "tense")],
}
CODES = {"kind": "description", "classes": [{"name": "calm", "values": [1]}, {"name": "tense", "values": [2]}]}
STATED = {"kind": "annotations"}
SIX_SECONDS = {"kind": "annotations", "seconds": 6}


def write_with(path, onset, name):
    """The recording of the lab with one mark more, of 6 s."""
    raw = lab_files.make_raw()
    if path.suffix == ".vhdr":
        mne.export.export_raw(path, raw, fmt="brainvision", verbose="ERROR")
        with path.with_suffix(".vmrk").open("a") as file:
            file.write(f"Mk9=Comment,{name},{round(onset * RATE) + 1},{6 * RATE},0\n")
        return
    # past the setter of the recording, which would drop it
    raw.annotations.append(onset, 6, name)
    if path.suffix == ".fif":
        raw.save(path, verbose="ERROR")
    elif path.suffix == ".set":
        mne.export.export_raw(path, raw, fmt="eeglab", verbose="ERROR")
    else:
        mne.export.export_raw(path, raw, physical_range=(-300, 300), verbose="ERROR")


def parts_of(path, **changes):
    labels = COMMENTS if path.suffix == ".vhdr" else lab_files.LAYOUT["labels"]
    changes = {"recordings": {"files": f"sub{{subject}}{path.name[4:]}"}, "labels": labels, **changes}
    return list(MneReader(layout=lab_files.layout(**changes)).read(path.parent, path.name))


@pytest.mark.parametrize("trials", [STATED, SIX_SECONDS, {"kind": "annotations", "length": "until_next"}])
# MNE itself refuses an EEGLAB file with an event before its start
@pytest.mark.parametrize("onset", [-2.0, 41.0, 44.5, 3600.0])
@pytest.mark.parametrize("ending", ["edf", "bdf", "vhdr", "set", "fif"])
def test_a_trial_outside_of_the_data_is_refused(tmp_path, ending, onset, trials):
    if (trials.get("length") and onset == 41.0) or (ending == "set" and onset < 0):
        onset = 50.0
    path = tmp_path / f"sub1_raw.{ending}"
    write_with(path, onset, "tense")
    with pytest.raises(CorpusError, match=r"A trial is not inside .*sub1_raw\..*: expected 44\.000 s at most, found"):
        parts_of(path, trials=trials)


@pytest.mark.parametrize(
    ("ending", "onset"), [("edf", -2.0), ("bdf", 60.0), ("vhdr", 60.0), ("set", 60.0), ("fif", -9.0)]
)
def test_a_mark_outside_of_the_data_that_starts_no_trial_is_listed(tmp_path, ending, onset):
    path = tmp_path / f"sub1_raw.{ending}"
    write_with(path, onset, "other")
    *trials, listed = parts_of(path, trials=SIX_SECONDS)
    assert isinstance(listed, LeftOut)
    assert listed.where == path.name
    assert f"other' at {onset:.3f} s" in listed.what
    assert [each.trials[0].trial for each in trials] == [1, 2, 3, 4]


def test_a_signal_that_broke_off_is_refused(tmp_path):
    path = tmp_path / "sub1_raw.vhdr"
    write_with(path, 1.0, "other")
    data = path.with_suffix(".eeg").read_bytes()
    path.with_suffix(".eeg").write_bytes(data[: len(data) // lab_files.SECONDS * 30])
    with pytest.raises(CorpusError, match=r"A trial is not inside .*: expected 30\.000 s at most, found .* 33\.000 s"):
        parts_of(path)


def test_a_code_of_neuroscan_behind_the_data_is_refused(tmp_path):
    path = tmp_path / "sub1_raw.cnt"
    lab_files.write_cnt(path)
    content = bytearray(path.read_bytes())
    # the place of the last of four events
    (place,) = struct.unpack_from("<l", content, len(content) - 4)
    struct.pack_into("<l", content, len(content) - 4, place + 20 * RATE * 4 * len(lab_files.CHANNELS))
    path.write_bytes(content)
    with pytest.raises(CorpusError, match=r"A trial is not inside .*: expected 44\.000 s at most, found .* 53\.000 s"):
        parts_of(path, trials=SIX_SECONDS, labels=CODES)


@pytest.mark.parametrize("date", [None, (1_700_000_000, 0)])
@pytest.mark.parametrize(("onset", "inside"), [(10.5, True), (9.0, False), (38.0, False)])
def test_onsets_of_a_cropped_recording_count_from_what_was_saved(tmp_path, date, onset, inside):
    raw = lab_files.make_raw(date=date).crop(tmin=10, tmax=43)
    if onset == 10.5:
        onset = 30.0
    raw.annotations.append(onset, 1 if inside else 6, "tense")
    path = tmp_path / "sub1_raw.fif"
    raw.save(path, verbose="ERROR")
    if inside:
        found = [each.trials[0] for each in parts_of(path)]
        assert [(each.label, each.stop - each.start) for each in found] == [
            (1, 6 * RATE), (0, 6 * RATE), (1, RATE), (1, 6 * RATE),
        ]  # fmt: skip
        return
    with pytest.raises(CorpusError, match=rf"A trial is not inside .* found a trial from {onset - 10:.3f} s"):
        parts_of(path)


@pytest.mark.parametrize("kind", ["events", "annotations"])
@pytest.mark.parametrize(("onset", "duration"), [("-1", "3"), ("41", "6"), ("80", "6")])
def test_an_event_of_a_bids_folder_outside_of_the_data_is_refused(tmp_path, kind, onset, duration):
    lab_files.write_bids(tmp_path, subjects=("01",))
    (events,) = tmp_path.glob("sub-01/ses-1/eeg/*_events.tsv")
    header, *rows = events.read_text().splitlines()
    for name in ("tense", "other"):
        values = dict(zip(header.split("\t"), rows[1].split("\t"), strict=True))
        assert values["trial_type"] == "tense"
        values |= {"onset": onset, "duration": duration, "trial_type": name}
        values |= {} if name == "tense" else {"value": "9"}
        row = "\t".join(values.values())
        events.write_text("\n".join([header, *rows, row, ""]))
        reader = MneReader(layout=lab_files.layout(recordings={"bids": {}}, trials={"kind": kind}))
        (file,) = reader.files(tmp_path)
        if name == "tense":
            with pytest.raises(CorpusError, match=r"A trial is not inside .*: expected 44\.\d* s at most"):
                list(reader.read(tmp_path, file))
        else:
            found = [part for part in reader.read(tmp_path, file) if not isinstance(part, LeftOut)]
            np.testing.assert_array_equal([each.trials[0].label for each in found], [0, 1, 0, 1])
