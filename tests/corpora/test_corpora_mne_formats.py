"""The same recording in each format gives the same trials and the same signal."""

import importlib.util
import re

import lab_files
import numpy as np
import pytest
from edf_files import spoil

from scmmlab.corpora import Recording
from scmmlab.corpora.mne_recordings import MARGIN_S, MneReader
from scmmlab.errors import CorpusError

CLASSES = lab_files.LAYOUT["labels"]["classes"]
CODES = {"kind": "description", "classes": [{"name": "calm", "values": [1]}, {"name": "tense", "values": [2]}]}
COMMENTS = {
    "kind": "description",
    "classes": [{"name": name, "values": [f"Comment/{name}"]} for name in ("calm", "tense")],
}
SIX_SECONDS = {"kind": "annotations", "seconds": 6}
FORMATS = {
    "edf": (lab_files.write_edf, {}, 0.005),
    "vhdr": (lab_files.write_brainvision, {"labels": COMMENTS}, 0.005),
    "fif": (lab_files.write_fif, {}, 1e-3),
    "set": (lab_files.write_eeglab, {"trials": SIX_SECONDS}, 1e-3),
    "set of fdt": (lab_files.write_eeglab_pair, {}, 1e-3),
    "bdf": (lab_files.write_bdf, {"labels": CODES, "trials": {"kind": "status"}}, 1 / 32),
    "cnt": (lab_files.write_cnt, {"labels": CODES, "trials": SIX_SECONDS}, 0.01),
}
"""How to write it, what its layout says beside `LAYOUT`, and how far numbers are rounded in it, in µV."""


def trials(reader, root, file):
    return [each for each in reader.read(root, file) if isinstance(each, Recording)]


@pytest.fixture
def recordings(tmp_path):
    def read(name, **changes):
        write, own, _ = FORMATS[name]
        ending = name.split()[0]
        write(tmp_path / f"sub07_raw.{ending}")
        pattern = {"files": f"sub{{subject}}_raw.{ending}"}
        reader = MneReader(layout=lab_files.layout(**{"recordings": pattern, **own, **changes}))
        (file,) = reader.files(tmp_path)
        return trials(reader, tmp_path, file)

    return read


@pytest.mark.parametrize("name", FORMATS)
def test_trials_lie_where_they_were_marked_and_are_in_microvolts(recordings, name):
    tolerance = FORMATS[name][2]
    found = recordings(name)
    assert [each.trials[0].trial for each in found] == [1, 2, 3, 4]
    assert [each.trials[0].label for each in found] == [0, 1, 0, 1]
    signal_CT = lab_files.make_signal(0)
    for each, (onset, _) in zip(found, lab_files.TRIALS, strict=True):
        assert (each.subject, each.session, each.channels) == (7, 1, lab_files.CHANNELS)
        (span,) = each.trials
        start = round(onset * lab_files.RATE)
        assert span.stop - span.start == 6 * lab_files.RATE
        expected = signal_CT[:, start : start + 6 * lab_files.RATE]
        # the mean of all that was read, the margins as well, has been taken off
        first = start - span.start
        expected = expected - signal_CT[:, first : first + each.signal.shape[1]].mean(axis=1, keepdims=True)
        np.testing.assert_allclose(each.signal[:, span.start : span.stop], expected, atol=tolerance)


def test_a_trial_is_read_with_a_margin_and_no_more(recordings):
    found = recordings("fif")
    margin = round(MARGIN_S * lab_files.RATE)
    assert found[1].signal.shape[1] == 6 * lab_files.RATE + 2 * margin
    assert found[1].trials[0].start == margin
    # the recording starts 3 s before its first trial
    assert found[0].trials[0].start == 3 * lab_files.RATE < margin


def test_names_may_have_letters_of_any_alphabet_and_spaces(tmp_path):
    (tmp_path / "Björn 1").mkdir()
    lab_files.write_brainvision(tmp_path / "Björn 1" / "день 2.vhdr")
    layout = lab_files.layout(recordings={"files": "{subject}/день {session}.vhdr"}, labels=COMMENTS)
    (file,) = MneReader(layout=layout).files(tmp_path)
    assert len(list(MneReader(layout=layout).read(tmp_path, file))) == 4
    assert MneReader(layout=layout).companions(tmp_path) == ("Björn 1/день 2.eeg", "Björn 1/день 2.vmrk")
    assert MneReader(layout=layout).subject_names(tmp_path) == {1: "Björn 1"}


@pytest.mark.parametrize("date", [None, (1_700_000_000, 0)])
def test_a_fif_file_that_was_cropped_keeps_its_onsets(tmp_path, recordings, date):
    whole = recordings("fif")
    raw = lab_files.make_raw(date=date)
    raw.crop(tmin=10, tmax=43).save(tmp_path / "sub08_raw.fif", verbose="ERROR")
    reader = MneReader(layout=lab_files.layout(recordings={"files": "sub{subject}_raw.fif"}))
    cropped = list(reader.read(tmp_path, "sub08_raw.fif"))
    assert [each.trials[0].label for each in cropped] == [1, 0, 1]
    same = cropped[1]
    np.testing.assert_allclose(same.signal, whole[2].signal, atol=1e-3)


def test_a_split_fif_recording_is_read_with_all_its_parts(tmp_path):
    lab_files.make_raw().resample(1024, verbose="ERROR").save(
        tmp_path / "sub08_raw.fif", split_size=1_300_000, buffer_size_sec=1, verbose="ERROR"
    )
    others = sorted(path.name for path in tmp_path.iterdir() if path.name != "sub08_raw.fif")
    assert others, "the file was not split"
    reader = MneReader(layout=lab_files.layout(recordings={"files": "sub{subject}_raw.fif"}))
    assert sorted(reader.companions(tmp_path)) == others
    assert [each.trials[0].label for each in reader.read(tmp_path, "sub08_raw.fif")] == [0, 1, 0, 1]


@pytest.mark.parametrize("offset", [0, 0x7F01])
def test_bits_above_the_mask_of_a_status_channel_are_ignored(tmp_path, offset):
    lab_files.write_bdf(tmp_path / "sub1.bdf", offset=offset)
    layout = lab_files.layout(recordings={"files": "sub{subject}.bdf"}, labels=CODES, trials={"kind": "status"})
    assert [each.trials[0].label for each in trials(MneReader(layout=layout), tmp_path, "sub1.bdf")] == [0, 1, 0, 1]


def test_without_a_mask_that_fits_no_code_is_found(tmp_path):
    lab_files.write_bdf(tmp_path / "sub1.bdf", offset=0x7F01)
    masked = {"kind": "status", "mask": 0xFFFF}
    layout = lab_files.layout(recordings={"files": "sub{subject}.bdf"}, labels=CODES, trials=masked)
    (left_out,) = MneReader(layout=layout).read(tmp_path, "sub1.bdf")
    assert re.match(r"has no mark that stands for '1' \(calm\) or '2' \(tense\), only \d+ of '", left_out.why)


def edf_reader(**changes):
    return MneReader(layout=lab_files.layout(recordings={"files": "sub{subject}.edf"}, **changes))


def test_an_edf_file_without_a_unit_is_refused_until_the_layout_says_it(tmp_path):
    lab_files.write_edf(tmp_path / "sub1.edf")
    right = next(edf_reader().read(tmp_path, "sub1.edf")).signal
    for signal in range(len(lab_files.CHANNELS)):
        spoil(tmp_path / "sub1.edf", "unit", "", signal=signal)
    with pytest.raises(CorpusError, match=r"sub1.edf' states no voltage for .*: expected uV or .*, found ''"):
        next(edf_reader().read(tmp_path, "sub1.edf"))
    with pytest.raises(CorpusError, match=r"cannot be in the unit that it states: expected EEG .*, found"):
        next(edf_reader(signal={"scale": 1.0}).read(tmp_path, "sub1.edf"))
    np.testing.assert_allclose(next(edf_reader(signal={"scale": 1e-6}).read(tmp_path, "sub1.edf")).signal, right)


def test_the_type_of_an_edf_plus_signal_is_no_part_of_its_name(tmp_path):
    lab_files.write_edf(tmp_path / "sub1.edf")
    for number, label in enumerate(("EEG Fz", "EEG Cz", "EEG Pz", "ECG II")):
        spoil(tmp_path / "sub1.edf", "label", label, signal=number)
    assert next(edf_reader().read(tmp_path, "sub1.edf")).channels == ("Fz", "Cz", "Pz")


def test_an_eeglab_file_of_matlab_73_names_the_package_that_it_needs(tmp_path, monkeypatch):
    import h5py

    with h5py.File(tmp_path / "sub1.set", "w", userblock_size=512) as file:
        file["EEG"] = np.zeros(3)
    monkeypatch.setattr(
        "scmmlab.corpora.lab.eeglab.find_spec",
        lambda name: None if name == "pymatreader" else importlib.util.find_spec(name),
    )
    reader = MneReader(layout=lab_files.layout(recordings={"files": "sub{subject}.set"}))
    with pytest.raises(CorpusError, match=r"sub1.set' cannot be read: expected .* the package pymatreader, found"):
        next(reader.read(tmp_path, "sub1.set"))


def test_a_cnt_file_of_ant_neuro_names_the_package_that_it_needs(tmp_path, monkeypatch):
    (tmp_path / "sub1.cnt").write_bytes(b"RIFF" + bytes(2000))
    monkeypatch.setattr("scmmlab.corpora.lab.neuroscan.find_spec", lambda name: None)
    reader = MneReader(layout=lab_files.layout(recordings={"files": "sub{subject}.cnt"}))
    with pytest.raises(CorpusError, match=r"sub1.cnt' cannot be read: expected .* the package antio, found"):
        next(reader.read(tmp_path, "sub1.cnt"))


def test_a_format_that_is_not_read_is_named(tmp_path):
    (tmp_path / "sub1.eeg").write_bytes(b"x")
    with pytest.raises(CorpusError, match=r"sub1.eeg' is not a recording .*expected .*\.vhdr.*found \.eeg"):
        MneReader(layout=lab_files.layout(recordings={"files": "sub{subject}.eeg"})).files(tmp_path)
