"""EDF: what is written is read in µV, and a header is believed only if the file bears it out."""

import numpy as np
import pytest
from edf_files import spoil, write_edf

from scmmlab.corpora.edf import read_edf, read_edf_header
from scmmlab.errors import CorpusError

LABELS = ["EEG A", "EEG B", "EEG C"]


def name_of(label):
    return label.removeprefix("EEG ")


@pytest.fixture
def signal():
    return np.random.default_rng(0).uniform(-100, 100, (3, 4 * 100))


@pytest.fixture
def edf(tmp_path, signal):
    path = tmp_path / "recording.edf"
    write_edf(path, LABELS, signal, 100)
    return path


def test_the_signal_comes_in_microvolts_and_in_the_order_asked_for(edf, signal):
    read = read_edf(edf, ["C", "A"], name_of, 100)
    np.testing.assert_allclose(read, signal[[2, 0]], atol=400 / 65535)


@pytest.mark.parametrize(("unit", "factor"), [("mV", 1e3), ("V", 1e6), ("µV", 1)])
def test_units_are_converted(tmp_path, signal, unit, factor):
    write_edf(tmp_path / "x.edf", LABELS, signal, 100, unit)
    read = read_edf(tmp_path / "x.edf", ["A"], name_of, 100)
    np.testing.assert_allclose(read / factor, signal[:1], atol=400 / 65535)


def test_the_header_is_read(edf):
    header = read_edf_header(edf)
    assert (header.records, header.record_seconds) == (4, 1.0)
    assert [signal.label for signal in header.signals] == LABELS


@pytest.mark.parametrize(
    ("field", "value", "complaint"),
    [
        ("version", "1", "is not a valid EDF file"),
        ("records", "5", "is truncated: expected 5 data records .* found 4 whole ones"),
        ("records", "3", "wrong about the size: expected .* for 3 data records, found"),
        ("records", "-1", "number of data records: expected 1 or more, found -1"),
        ("records", "many", "number of data records: expected a number, found 'many'"),
        ("record_seconds", "0", "duration of a data record: expected more than 0 s"),
        ("header_bytes", "512", "bytes of header: expected 1024 for 3 signals, found 512"),
        ("signals", "0", "number of signals: expected 1 or more, found 0"),
        ("kind", "EDF+D", "expected a continuous recording"),
        ("physical_min", "nan", "physical range of EEG A: expected a number, found 'nan'"),
        ("physical_max", "inf", "physical range of EEG A: expected a number, found 'inf'"),
        ("physical_max", "-200", "physical range of EEG A: expected two different numbers"),
        ("digital_max", "-32768", "digital range of EEG A: expected minimum below maximum"),
        ("samples", "0", "samples in a data record of EEG A: expected 1 or more, found 0"),
        ("unit", "%", "unit of A: expected uV or µV or mV or V, found '%'"),
        ("label", "EEG B", "has no channel A: expected A, B, found EEG B"),
    ],
)
def test_a_header_that_lies_is_refused(edf, field, value, complaint):
    spoil(edf, field, value)
    with pytest.raises(CorpusError, match=complaint) as error:
        read_edf(edf, ["A", "B"], name_of, 100)
    assert str(edf) in str(error.value)


def test_a_channel_that_is_there_twice_is_refused(edf):
    spoil(edf, "label", "EEG B")
    with pytest.raises(CorpusError, match="number of channels named B: expected 1, found 2"):
        read_edf(edf, ["B"], name_of, 100)


def test_another_sampling_rate_is_refused(edf):
    with pytest.raises(CorpusError, match="sampling rate of A: expected 250 Hz, found 100 Hz"):
        read_edf(edf, ["A"], name_of, 250)


def test_a_folder_in_place_of_a_file_is_refused(tmp_path):
    with pytest.raises(CorpusError, match=r"cannot be read: expected an EDF file, found Is a directory"):
        read_edf(tmp_path, ["A"], name_of, 100)
