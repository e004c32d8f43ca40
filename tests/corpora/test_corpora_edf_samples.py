"""Signals of EDF and BDF files are read by their place, with the numbers that were stored, which MNE finds too."""

import mne
import numpy as np
import pytest
from bdf_files import write_bdf
from edf_files import write_edf

from scmmlab.corpora.edf import read_edf_header
from scmmlab.corpora.edf_samples import physical_values, read_samples
from scmmlab.errors import CorpusError

EXTREMES = [-(2**23), 2**23 - 1, -1, 0, 1, 255, 256, -256, 65535, 65536]


@pytest.fixture
def numbers():
    digital = np.random.default_rng(3).integers(-(2**23), 2**23, (3, 16 * 70))
    digital[1, : len(EXTREMES)] = EXTREMES
    return digital


def samples(path, places, *stretch):
    return read_samples(path, read_edf_header(path, every_signal=True), places, *stretch)


def values(path, place):
    header = read_edf_header(path, every_signal=True)
    return physical_values(header.signals[place], read_samples(path, header, [place])[0])


def test_any_stretch_of_any_signal_has_the_numbers_that_were_stored(tmp_path, numbers):
    write_bdf(tmp_path / "a.bdf", ["Fz", "", ""], numbers, 16)
    for start, stop in ((0, 1120), (0, 1), (15, 17), (16, 32), (1000, 1120), (3, 1119), (1120, 1120)):
        found = samples(tmp_path / "a.bdf", [2, 1], start, stop)
        np.testing.assert_array_equal(found, numbers[[2, 1], start:stop])
    np.testing.assert_array_equal(samples(tmp_path / "a.bdf", [1]), numbers[1:2])


def test_a_signal_without_a_name_needs_no_ranges(tmp_path, numbers):
    write_bdf(tmp_path / "a.bdf", ["Fz", "\0 left over", "Status"], numbers, 16)
    data = bytearray((tmp_path / "a.bdf").read_bytes())
    for field in (104, 112, 120, 128):
        start = 256 + 3 * field + 8
        data[start : start + 8] = b" " * 8
    (tmp_path / "a.bdf").write_bytes(data)
    header = read_edf_header(tmp_path / "a.bdf", every_signal=True)
    assert [signal.label for signal in header.signals] == ["Fz", "", "Status"]
    np.testing.assert_array_equal(samples(tmp_path / "a.bdf", [0, 1, 2]), numbers)


def test_values_are_those_of_mne(tmp_path, numbers):
    write_bdf(tmp_path / "a.bdf", ["Fz", "Cz", "Pz"], numbers, 16, physical=(-262144, 262143))
    write_edf(tmp_path / "a.edf", ["Fz", "Cz", "Pz"], numbers * (200 / 2**23), 16)
    for name, read in (("a.bdf", mne.io.read_raw_bdf), ("a.edf", mne.io.read_raw_edf)):
        expected = 1e6 * read(tmp_path / name, verbose="ERROR").get_data()
        found = [values(tmp_path / name, place) for place in range(3)]
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-7)


def test_records_may_be_longer_than_a_second(tmp_path, numbers):
    write_bdf(tmp_path / "a.bdf", ["Fz", "Cz", "Pz"], numbers, 16, record_s=7)
    np.testing.assert_array_equal(samples(tmp_path / "a.bdf", [0], 100, 300), numbers[:1, 100:300])


def test_a_truncated_file_is_refused(tmp_path, numbers):
    write_bdf(tmp_path / "a.bdf", ["Fz", "Cz", "Pz"], numbers, 16)
    whole = (tmp_path / "a.bdf").read_bytes()
    (tmp_path / "a.bdf").write_bytes(whole[:-1])
    with pytest.raises(CorpusError, match=r"a.bdf is truncated: expected 70 data records .*found 69 whole ones"):
        samples(tmp_path / "a.bdf", [0])


@pytest.mark.parametrize("left", [2000, 0])
def test_a_file_that_shrinks_while_it_is_read_is_named(tmp_path, numbers, left):
    path = tmp_path / "a.bdf"
    write_bdf(path, ["Fz", "Cz", "Pz"], numbers, 16)
    header = read_edf_header(path, every_signal=True)
    path.write_bytes(path.read_bytes()[:left])
    with pytest.raises(CorpusError, match=r"a.bdf' changed while it was read: expected 70 data records, found fewer"):
        read_samples(path, header, [0])
