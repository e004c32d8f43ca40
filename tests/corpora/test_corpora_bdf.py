"""BDF files are read by the place of a signal, with the numbers that MNE finds."""

import mne
import numpy as np
import pytest
from bdf_files import write_bdf

from scmmlab.corpora.bdf import BdfFile
from scmmlab.errors import CorpusError

EXTREMES = [-(2**23), 2**23 - 1, -1, 0, 1, 255, 256, -256, 65535, 65536]


@pytest.fixture
def numbers():
    digital = np.random.default_rng(3).integers(-(2**23), 2**23, (3, 16 * 70))
    digital[1, : len(EXTREMES)] = EXTREMES
    return digital


def test_any_stretch_of_any_signal_has_the_numbers_that_were_stored(tmp_path, numbers):
    write_bdf(tmp_path / "a.bdf", ["Fz", "", ""], numbers, 16)
    file = BdfFile(tmp_path / "a.bdf")
    assert [signal.label for signal in file.signals] == ["Fz", "", ""]
    assert (file.sampling_rate(2), file.samples(2)) == (16, 16 * 70)
    for start, stop in ((0, 1120), (0, 1), (15, 17), (16, 32), (1000, 1120), (3, 1119), (1120, 1120)):
        np.testing.assert_array_equal(file.digital([2, 1], start, stop), numbers[[2, 1], start:stop])


def test_a_signal_without_a_name_needs_no_ranges(tmp_path, numbers):
    write_bdf(tmp_path / "a.bdf", ["Fz", "\0 left over", "Status"], numbers, 16)
    data = bytearray((tmp_path / "a.bdf").read_bytes())
    for field in (104, 112, 120, 128):
        start = 256 + 3 * field + 8
        data[start : start + 8] = b" " * 8
    (tmp_path / "a.bdf").write_bytes(data)
    file = BdfFile(tmp_path / "a.bdf")
    assert [signal.label for signal in file.signals] == ["Fz", "", "Status"]
    np.testing.assert_array_equal(file.digital([0, 1, 2], 0, 100), numbers[:, :100])


def test_microvolts_are_those_of_mne(tmp_path, numbers):
    write_bdf(tmp_path / "a.bdf", ["Fz", "Cz", "Pz"], numbers, 16, physical=(-262144, 262143))
    raw = mne.io.read_raw_bdf(tmp_path / "a.bdf", verbose="ERROR")
    found = BdfFile(tmp_path / "a.bdf").microvolts([0, 1, 2], 20, 900)
    np.testing.assert_allclose(found, 1e6 * raw.get_data(start=20, stop=900), rtol=1e-12, atol=1e-7)


def test_records_may_be_longer_than_a_second(tmp_path, numbers):
    write_bdf(tmp_path / "a.bdf", ["Fz", "Cz", "Pz"], numbers, 16, record_s=7)
    file = BdfFile(tmp_path / "a.bdf")
    assert file.sampling_rate(0) == 16
    np.testing.assert_array_equal(file.digital([0], 100, 300), numbers[:1, 100:300])


@pytest.mark.parametrize(("unit", "factor"), [("mV", 1e3), ("V", 1e6)])
def test_other_units_of_voltage_are_known(tmp_path, numbers, unit, factor):
    write_bdf(tmp_path / "a.bdf", ["Fz", "Cz", "Pz"], numbers, 16, unit=unit)
    write_bdf(tmp_path / "b.bdf", ["Fz", "Cz", "Pz"], numbers, 16)
    wide, plain = (BdfFile(tmp_path / name).microvolts([0], 0, 16) for name in ("a.bdf", "b.bdf"))
    np.testing.assert_allclose(wide, factor * plain)


def test_a_unit_that_is_no_voltage_is_refused(tmp_path, numbers):
    write_bdf(tmp_path / "a.bdf", ["Fz", "Cz", "Pz"], numbers, 16, unit="nS")
    with pytest.raises(CorpusError, match=r"unit of Fz: expected uV or .*, found 'nS'"):
        BdfFile(tmp_path / "a.bdf").microvolts([0], 0, 16)


def test_a_truncated_file_is_refused(tmp_path, numbers):
    write_bdf(tmp_path / "a.bdf", ["Fz", "Cz", "Pz"], numbers, 16)
    whole = (tmp_path / "a.bdf").read_bytes()
    (tmp_path / "a.bdf").write_bytes(whole[:-1])
    with pytest.raises(CorpusError, match=r"a.bdf is truncated: expected 70 data records .*found 69 whole ones"):
        BdfFile(tmp_path / "a.bdf")


def test_a_file_that_shrinks_while_it_is_read_is_named(tmp_path, numbers):
    write_bdf(tmp_path / "a.bdf", ["Fz", "Cz", "Pz"], numbers, 16)
    file = BdfFile(tmp_path / "a.bdf")
    (tmp_path / "a.bdf").write_bytes((tmp_path / "a.bdf").read_bytes()[:2000])
    with pytest.raises(CorpusError, match=r"a.bdf is truncated: expected data record 64, found the end of the file"):
        file.digital([0], 0, 1120)
