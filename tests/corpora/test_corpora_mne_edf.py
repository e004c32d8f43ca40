"""EDF and BDF files that MNE or the standard would refuse, though what is wanted of them is sound."""

import edf_files
import lab_files
import numpy as np
import pytest
from edf_files import spoil

from scmmlab.corpora.left_out import LeftOut
from scmmlab.corpora.mne_recordings import MneReader
from scmmlab.errors import CorpusError

CODES = {"kind": "description", "classes": [{"name": "calm", "values": [1]}, {"name": "tense", "values": [2]}]}


def reader(ending="edf", recordings=(), **changes):
    own = {"labels": CODES, "trials": {"kind": "status"}} if ending == "bdf" else {}
    files = {"files": f"sub{{subject}}.{ending}", **dict(recordings)}
    return MneReader(layout=lab_files.layout(**{"recordings": files, **own, **changes}))


def read(root, ending="edf", **changes):
    parts = reader(ending, **changes).read(root, f"sub1.{ending}")
    return [each for each in parts if not isinstance(each, LeftOut)]


def signals(root, ending="edf", **changes):
    return [each.signal for each in read(root, ending, **changes)]


def assert_same(found, expected):
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.fixture(params=["edf", "bdf"])
def recording(tmp_path, request):
    """A recording, and what is read of it."""
    path = tmp_path / f"sub1.{request.param}"
    {"edf": lab_files.write_edf, "bdf": lab_files.write_bdf}[request.param](path)
    return path, signals(tmp_path, request.param)


def test_a_signal_of_another_rate_that_is_not_taken_leaves_the_eeg_at_its_own(tmp_path):
    lab_files.write_edf(tmp_path / "sub1.edf")
    right = signals(tmp_path)
    for rate in (1000, 16):
        for name in ("EMG", "O1"):
            edf_files.append_signal(tmp_path / "sub1.edf", tmp_path / "sub2.edf", name, rate)
            layout = {} if name == "EMG" else {"signal": {"channels": list(lab_files.CHANNELS)}}
            found = [each for each in reader(**layout).read(tmp_path, "sub2.edf") if hasattr(each, "signal")]
            assert {each.sampling_rate for each in found} == {lab_files.RATE}
            for one, other in zip(found, right, strict=True):
                np.testing.assert_array_equal(one.signal, other)


@pytest.mark.parametrize("rate", [32, 128, 1024])
def test_trigger_codes_of_another_rate_leave_the_eeg_as_it_is(tmp_path, rate):
    lab_files.write_edf(tmp_path / "sub1.edf")
    right = read(tmp_path)
    codes = np.zeros((lab_files.SECONDS, rate), "<i2")
    for onset, name in lab_files.TRIALS:
        codes[int(onset), : rate // 2], codes[int(onset + lab_files.TRIAL_S), : rate // 2] = lab_files.CODES[name], 9
    edf_files.append_signal(tmp_path / "sub1.edf", tmp_path / "sub1.edf", "TRIG", rate, codes, physical=(-32768, 32767))
    changes = {"labels": CODES, "trials": {"kind": "status", "channel": "TRIG"}}
    found = read(tmp_path, **changes)
    assert [each.trials for each in found] == [each.trials for each in right]
    assert_same([each.signal for each in found], [each.signal for each in right])


def test_eeg_of_two_rates_is_refused_with_a_remedy(tmp_path):
    lab_files.write_edf(tmp_path / "sub1.edf")
    edf_files.append_signal(tmp_path / "sub1.edf", tmp_path / "sub1.edf", "O1", 256)
    with pytest.raises(
        CorpusError, match=r"EEG of several sampling rates: expected 256 samples of Fz .* as of O1, found 128"
    ) as error:
        read(tmp_path)
    assert "signal.drop leaves others out" in error.value.hint


@pytest.mark.parametrize(
    "spoilt",
    [
        {"physical_min": "0", "physical_max": "0"},
        {"digital_min": "5", "digital_max": "5"},
        {"physical_min": "", "physical_max": "n/a"},
        {"digital_min": "", "digital_max": ""},
        {"label": "Fz", "physical_max": "-300"},
        {"label": "", "physical_min": ""},
    ],
)
def test_a_signal_that_is_not_taken_may_be_anything(recording, spoilt):
    path, right = recording
    for field, value in spoilt.items():
        spoil(path, field, value, signal=3)
    ending, channels = path.suffix[1:], ["Cz", "Pz"]
    for one, other in zip(signals(path.parent, ending, signal={"channels": channels}), right, strict=True):
        np.testing.assert_array_equal(one, other[1:3])
    if "label" not in spoilt:
        with pytest.raises(CorpusError, match=r"wrong about the (physical|digital) range of Oz") as error:
            read(path.parent, ending)
        assert error.value.hint == "signal.drop leaves it out."


def test_numbers_may_have_decimal_commas(recording):
    path, right = recording
    for signal in range(4):
        spoil(path, "digital_max", edf_files.field_of(path, "digital_max", signal).strip()[:6] + ",0", signal=signal)
    spoil(path, "record_seconds", "1,0")
    assert len(signals(path.parent, path.suffix[1:])) == len(right)


def test_a_header_may_be_longer_than_its_fields_and_hold_any_letter(recording):
    path, right = recording
    content = path.read_bytes()
    header = int(content[184:192])
    reserved = "ä".encode("latin-1") * 32
    content = content[: header - 32] + reserved + bytes(256) + content[header:]
    path.write_bytes(content)
    spoil(path, "header_bytes", str(header + 256))
    assert_same(signals(path.parent, path.suffix[1:]), right)


ACCEPT = {"accept_incomplete": True}


def broken_off(path):
    path.write_bytes(path.read_bytes()[:-3000])


def with_more_behind(path):
    path.write_bytes(path.read_bytes() + b"\7" * 5000)


def without_a_number(path):
    spoil(path, "records", "-1")


@pytest.mark.parametrize(
    ("change", "message", "note"),
    [
        (broken_off, r"truncated: expected 44 data records .* found 4\d whole ones", "states 44 data records; 4"),
        (
            with_more_behind,
            "wrong about the size: expected .* for 44 data records",
            "records; 44 whole ones were read, and 5000",
        ),
        (without_a_number, "number of data records: expected 1 or more, found -1", "states -1 data records; 44 whole"),
    ],
)
def test_data_records_that_are_whole_are_taken_where_the_layout_says_so(recording, change, message, note):
    path, right = recording
    change(path)
    ending = path.suffix[1:]
    for attempt in (read, lambda root, kind: reader(kind).companions(root)):
        with pytest.raises(CorpusError, match=message) as error:
            attempt(path.parent, ending)
        assert "recordings.accept_incomplete: true" in error.value.hint
    found = read(path.parent, ending, recordings=ACCEPT)
    assert note in found[0].notes[0]
    for one, other in zip(found, right, strict=True):
        # what a trial is read with may reach into the record that is not whole
        shared = min(one.signal.shape[1], other.shape[1])
        np.testing.assert_allclose(np.diff(one.signal[:, :shared]), np.diff(other[:, :shared]), atol=1e-9)


def test_annotations_in_latin_1_are_read_where_the_layout_says_so(tmp_path):
    lab_files.write_edf(tmp_path / "sub1.edf")
    content = (tmp_path / "sub1.edf").read_bytes()
    (tmp_path / "sub1.edf").write_bytes(content.replace(b"\x14tense\x14", b"\x14t\xe4nse\x14"))
    classes = [{"name": "calm", "values": ["calm"]}, {"name": "tense", "values": ["tänse"]}]
    labels = {"kind": "description", "classes": classes}
    with pytest.raises(CorpusError, match=r"annotations in another code page: expected UTF-8, found") as error:
        read(tmp_path, labels=labels)
    assert error.value.hint.startswith("recordings.encoding: latin1")
    found = read(tmp_path, labels=labels, recordings={"encoding": "latin1"})
    assert [each.trials[0].label for each in found] == [0, 1, 0, 1]


@pytest.mark.parametrize("second", [15, 11])
def test_discontinuous_edf_is_read_where_its_records_follow_each_other(tmp_path, second):
    lab_files.write_edf(tmp_path / "sub1.edf")
    right = signals(tmp_path)
    spoil(tmp_path / "sub1.edf", "kind", "EDF+D")
    assert_same(signals(tmp_path), right)
    edf_files.date_record(tmp_path / "sub1.edf", 12, second)
    with pytest.raises(CorpusError, match=r"records of .* are not in chronological order: expected record 1[34] at"):
        read(tmp_path)


@pytest.mark.parametrize("interval", ["3906", "3907", "3906.2"])
def test_a_time_between_samples_that_is_rounded_has_a_remedy(tmp_path, interval):
    raw = lab_files.make_raw().resample(256, verbose="ERROR")
    import mne

    mne.export.export_raw(tmp_path / "sub1.vhdr", raw, fmt="brainvision", verbose="ERROR")
    classes = [{"name": name, "values": [f"Comment/{name}"]} for name in ("calm", "tense")]
    changes = {"labels": {"kind": "description", "classes": classes}}
    right = read(tmp_path, "vhdr", **changes)
    text = (tmp_path / "sub1.vhdr").read_text(encoding="utf-8")
    assert "SamplingInterval=3906.25" in text
    text = text.replace("SamplingInterval=3906.25", f"SamplingInterval={interval}")
    (tmp_path / "sub1.vhdr").write_text(text, encoding="utf-8")
    with pytest.raises(
        CorpusError, match=rf"rounds the time between two samples: expected 3906.25 .*found {interval} µs"
    ) as error:
        read(tmp_path, "vhdr", **changes)
    assert error.value.hint.startswith("signal.sampling_rate: 256")
    found = read(tmp_path, "vhdr", signal={"sampling_rate": 256}, **changes)
    assert {each.sampling_rate for each in found} == {256.0}
    for one, other in zip(found, right, strict=True):
        assert one.trials == other.trials
        np.testing.assert_array_equal(one.signal, other.signal)
    with pytest.raises(
        CorpusError, match=r"another sampling rate: expected 250 Hz as the layout says, found 25"
    ) as error:
        read(tmp_path, "vhdr", signal={"sampling_rate": 250}, **changes)
    assert "without signal.sampling_rate" in error.value.hint


@pytest.mark.parametrize("labels", [["EDF Annotations"] * 4, [""] * 4])
def test_a_file_without_a_channel_is_refused_in_a_sentence(tmp_path, labels):
    lab_files.write_edf(tmp_path / "sub1.edf")
    spoil(tmp_path / "sub1.edf", "kind", "EDF+D")
    for number, label in enumerate(labels):
        spoil(tmp_path / "sub1.edf", "label", label, signal=number)
    with pytest.raises(CorpusError, match=r"sub1.edf.*expected"):
        read(tmp_path)
    (found,) = [finding for finding in reader().check(tmp_path) if not finding.ok]
    assert "sub1.edf" in found.where
