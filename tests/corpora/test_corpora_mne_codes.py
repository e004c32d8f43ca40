"""Codes of a trigger channel are the whole numbers that its file states, in whatever unit and with whatever gain."""

import lab_files
import mne
import numpy as np
import pytest
from bdf_files import write_bdf
from edf_files import spoil, write_edf

from scmmlab.corpora.mne_recordings import MneReader
from scmmlab.errors import CorpusError

RATE = lab_files.RATE
PULSES = ((3, 1), (9, 9), (13, 2), (19, 9), (23, 1), (29, 9), (33, 2), (39, 9))
"""At how many s, and which code; 9 ends a trial."""
LABELS = {
    "kind": "description",
    "classes": [{"name": "calm", "values": [1]}, {"name": "tense", "values": [2]}],
}


def trigger():
    values = np.zeros(lab_files.SECONDS * RATE)
    for onset, code in PULSES:
        values[onset * RATE :][:10] = code
    return values


def with_trigger(name, kind, values):
    """The recording of the lab without annotations and with a channel more, in the numbers that MNE keeps."""
    raw = lab_files.make_raw()
    raw.set_annotations(None)
    info = mne.create_info([name], RATE, kind)
    raw.add_channels([mne.io.RawArray(values[None], info, verbose="ERROR").set_meas_date(raw.info["meas_date"])], True)
    return raw


def read(path, **trials):
    changes = {"recordings": {"files": f"sub{{subject}}{path.name[4:]}"}, "labels": LABELS}
    changes["signal"] = {"channels": list(lab_files.CHANNELS)}
    reader = MneReader(
        layout=lab_files.layout(trials={"kind": "status", "channel": "STI", "ends": [9], **trials}, **changes)
    )
    return [
        (each.trials[0].label, each.trials[0].stop - each.trials[0].start)
        for each in reader.read(path.parent, path.name)
    ]


EXPECTED = [(0, 6 * RATE), (1, 6 * RATE), (0, 6 * RATE), (1, 6 * RATE)]


@pytest.mark.parametrize("name", ["STI", "Status"])
@pytest.mark.parametrize("top", [9, 16, 100, 1000])
@pytest.mark.parametrize("unit", ["", "uV", "mV", "V"])
def test_a_gain_that_is_no_whole_number_and_a_unit_change_no_code_of_an_edf_file(tmp_path, name, top, unit):
    write_edf(
        tmp_path / "sub1.edf", [*lab_files.CHANNELS, name], np.vstack([lab_files.make_signal(0), trigger()]), RATE
    )
    # the writer stored ±200 as the whole range: the same numbers now stand for 0 to `top`
    stored = np.round(trigger() / top * 65535 - 32768)
    data = np.fromfile(tmp_path / "sub1.edf", "<i2", offset=256 * 6).reshape(lab_files.SECONDS, 5, RATE)
    data[:, 4] = stored.reshape(lab_files.SECONDS, RATE)
    header = (tmp_path / "sub1.edf").read_bytes()[: 256 * 6]
    (tmp_path / "sub1.edf").write_bytes(header + data.tobytes())
    for field, value in (("physical_min", "0"), ("physical_max", str(top)), ("unit", unit)):
        spoil(tmp_path / "sub1.edf", field, value, signal=4)
    assert read(tmp_path / "sub1.edf", channel=name) == EXPECTED


@pytest.mark.parametrize("name", ["STI", "Status"])
@pytest.mark.parametrize("ending", ["edf", "bdf"])
def test_codes_that_mne_exported_are_read(tmp_path, ending, name):
    raw = with_trigger(name, "stim", trigger())
    path = tmp_path / f"sub1.{ending}"
    mne.export.export_raw(path, raw, physical_range="channelwise", add_ch_type=False, verbose="ERROR")
    assert read(path, channel=name) == EXPECTED


def test_codes_of_fif_and_of_channels_in_volts_are_read(tmp_path):
    with_trigger("STI", "stim", trigger() + 1e-3).save(tmp_path / "sub1_raw.fif", verbose="ERROR")
    assert read(tmp_path / "sub1_raw.fif") == EXPECTED
    # BrainVision and EEGLAB keep all channels in µV
    for ending, form in (("vhdr", "brainvision"), ("set", "eeglab")):
        raw = with_trigger("STI", "eeg", trigger() * 1e-6)
        mne.export.export_raw(tmp_path / f"sub2.{ending}", raw, fmt=form, verbose="ERROR")
        assert read(tmp_path / f"sub2.{ending}") == EXPECTED


@pytest.mark.parametrize("offset", [-(2**23), 0x7F0000, -256])
def test_bits_above_a_mask_are_ignored_with_their_sign(tmp_path, offset):
    samples = np.vstack([np.round(lab_files.make_signal(0) * 32), trigger() + offset])
    write_bdf(tmp_path / "sub1.bdf", [*lab_files.CHANNELS, "STI"], samples, RATE)
    header = bytearray((tmp_path / "sub1.bdf").read_bytes())
    # the trigger's range is that of its numbers
    for at, value in ((104, b"-8388608"), (112, b"8388607 ")):
        start = 256 + 5 * at + 4 * 8
        header[start : start + 8] = value
    (tmp_path / "sub1.bdf").write_bytes(header)
    assert read(tmp_path / "sub1.bdf") == EXPECTED


@pytest.mark.parametrize("offset", [0, 0x7F0000, 2**16])
def test_a_status_channel_of_bdf_with_the_range_of_the_electrodes_holds_bits(tmp_path, offset):
    samples = np.vstack([np.round(lab_files.make_signal(0) * 32), trigger() + offset])
    write_bdf(tmp_path / "sub1.bdf", [*lab_files.CHANNELS, "Status"], samples, RATE)
    assert read(tmp_path / "sub1.bdf", channel="Status") == EXPECTED


def test_a_last_trial_that_no_code_ends_is_noted(tmp_path):
    values = trigger()
    values[36 * RATE :] = 0
    with_trigger("STI", "stim", values).save(tmp_path / "sub1_raw.fif", verbose="ERROR")
    changes = {"recordings": {"files": "sub{subject}_raw.fif"}, "labels": LABELS}
    reader = MneReader(layout=lab_files.layout(trials={"kind": "status", "channel": "STI", "ends": [9]}, **changes))
    parts = list(reader.read(tmp_path, "sub1_raw.fif"))
    assert parts[-1].trials[0].stop - parts[-1].trials[0].start == 11 * RATE
    assert parts[0].notes == ("sub1_raw.fif: no mark ends the last trial, which goes to the end of the recording",)


def test_a_code_that_another_follows_after_one_sample_is_noted(tmp_path):
    values = trigger()
    values[3 * RATE - 1] = 3
    with_trigger("STI", "stim", values).save(tmp_path / "sub1_raw.fif", verbose="ERROR")
    changes = {"recordings": {"files": "sub{subject}_raw.fif"}, "labels": LABELS}
    reader = MneReader(layout=lab_files.layout(trials={"kind": "status", "channel": "STI", "ends": [9]}, **changes))
    (note,) = next(iter(reader.read(tmp_path, "sub1_raw.fif"))).notes
    assert "1 codes are followed by another after one sample, the first of them (3) at 2.992 s" in note


@pytest.mark.parametrize(
    ("values", "found"),
    [
        (trigger() * 1.3, r"1\.3 at 3\.000 s"),
        (np.where(np.arange(lab_files.SECONDS * RATE) == 700, 0.5, trigger()), r"0\.5 at 5\.469 s"),
        (trigger() * 1e-6, r"0 to 9e-06"),
        (np.where(np.arange(lab_files.SECONDS * RATE) == 700, np.nan, trigger()), r"nan at 5\.469 s"),
    ],
)
def test_a_channel_without_whole_numbers_is_refused(tmp_path, values, found):
    with_trigger("STI", "stim", values).save(tmp_path / "sub1_raw.fif", verbose="ERROR")
    with pytest.raises(CorpusError, match=rf"channel STI of .*sub1_raw.fif' holds no codes: expected whole .*{found}"):
        read(tmp_path / "sub1_raw.fif")
