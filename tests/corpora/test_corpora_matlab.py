"""MATLAB files are read as SciPy reads them, and only where their headers tell the truth."""

import zlib

import h5py
import numpy as np
import pytest
import scipy.io

from scmmlab.corpora.matlab import open_matlab
from scmmlab.errors import CorpusError

NUMBERS = {
    "a_eeg10": np.random.default_rng(0).normal(size=(62, 301)),
    "a_eeg2": np.random.default_rng(1).normal(size=(62, 7, 5)),
    "label": np.array([[1.0, 0.0, -1.0]]),
    "small": np.int16([[1, 2]]),
    "bytes": np.array([[1, 2, 3]], dtype=np.uint8),
    "one": np.float32([[2.5]]),
}


@pytest.fixture(params=[False, True], ids=["plain", "compressed"])
def path(request, tmp_path):
    scipy.io.savemat(tmp_path / "x.mat", NUMBERS, do_compression=request.param)
    return tmp_path / "x.mat"


def test_variables_are_those_that_scipy_wrote(path):
    file = open_matlab(path)
    assert file.version == "5"
    assert {name: variable.shape for name, variable in file.variables.items()} == {
        name: value.shape for name, value in NUMBERS.items()
    }
    for name, value in NUMBERS.items():
        read = file.read(name)
        np.testing.assert_array_equal(read, value)
        assert read.dtype == value.dtype


def test_whatever_is_cut_off_is_refused(path):
    whole = path.read_bytes()
    for length in (0, 50, 127, 130, 200, len(whole) // 2, len(whole) - 3):
        path.write_bytes(whole[:length])
        with pytest.raises(CorpusError, match=r"x\.mat.*expected .*found "):
            open_matlab(path)


def test_a_half_copied_file_is_refused(path):
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2] + bytes(len(whole) - len(whole) // 2))
    with pytest.raises(CorpusError, match=r"x\.mat.*expected .*found "):
        [open_matlab(path).read(name) for name in NUMBERS]


def test_a_damaged_compressed_variable_is_refused(tmp_path):
    path = tmp_path / "x.mat"
    scipy.io.savemat(path, {"x": NUMBERS["a_eeg10"]}, do_compression=True)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(CorpusError, match=r"expected compressed numbers, found damaged ones"):
        open_matlab(path).read("x")


@pytest.mark.parametrize("compressed", [False, True])
def test_a_header_that_claims_more_than_there_is_is_refused_before_reading(tmp_path, compressed):
    path = tmp_path / "x.mat"
    scipy.io.savemat(path, {"x": np.zeros((62, 30))})
    data = path.read_bytes()
    at = data.index(np.int32([62, 30]).tobytes())
    data = data[:at] + np.int32([62, 2_000_000_000]).tobytes() + data[at + 8 :]
    if compressed:
        element = zlib.compress(data[128:])
        data = data[:128] + np.uint32([15, len(element)]).tobytes() + element
    path.write_bytes(data)
    with pytest.raises(CorpusError, match=r"the header of 'x': expected \d+ bytes for \(62, 2000000000\)"):
        open_matlab(path)


def test_what_is_no_number_is_refused_when_it_is_read(tmp_path):
    scipy.io.savemat(tmp_path / "x.mat", {"text": "abc", "struct": {"a": 1}, "complex": np.array([[1j]])})
    file = open_matlab(tmp_path / "x.mat")
    for name in ("text", "struct", "complex"):
        with pytest.raises(CorpusError, match=f"'{name}' in .*: expected real numbers, found"):
            file.read(name)


def write_v73(path, variables):
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, value in variables.items():
            file[name] = np.ascontiguousarray(value.T)
            file[name].attrs["MATLAB_class"] = np.bytes_("double")
    with path.open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM")


def test_dimensions_of_version_7_3_are_matlabs(tmp_path):
    write_v73(tmp_path / "x.mat", NUMBERS)
    file = open_matlab(tmp_path / "x.mat")
    assert file.version == "7.3"
    assert file.variables["a_eeg2"].shape == (62, 7, 5)
    np.testing.assert_array_equal(file.read("a_eeg2"), NUMBERS["a_eeg2"])


def test_a_truncated_file_of_version_7_3_is_refused(tmp_path):
    path = tmp_path / "x.mat"
    write_v73(path, NUMBERS)
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(CorpusError, match=r"x\.mat' cannot be read: expected a MATLAB 7.3 file, found .*truncated"):
        open_matlab(path)


def test_links_out_of_a_file_of_version_7_3_are_not_followed(tmp_path):
    write_v73(tmp_path / "secret.mat", {"x": np.ones((3, 4))})
    write_v73(tmp_path / "x.mat", {})
    with h5py.File(tmp_path / "x.mat", "r+") as file:
        file["x"] = h5py.ExternalLink("secret.mat", "x")
    with pytest.raises(CorpusError, match=r"expected numbers in the file itself, found a link to elsewhere"):
        open_matlab(tmp_path / "x.mat")


def test_numbers_that_lie_in_another_file_are_not_read(tmp_path):
    (tmp_path / "secret").write_bytes(bytes(800))
    write_v73(tmp_path / "x.mat", {})
    with h5py.File(tmp_path / "x.mat", "r+") as file:
        file.create_dataset("x", (10, 10), "f8", external=[(str(tmp_path / "secret"), 0, 800)])
    with pytest.raises(CorpusError, match=r"expected numbers in the file itself, found a link to other files"):
        open_matlab(tmp_path / "x.mat").read("x")


def test_numbers_that_were_never_written_are_refused(tmp_path):
    write_v73(tmp_path / "x.mat", {})
    with h5py.File(tmp_path / "x.mat", "r+") as file:
        file.create_dataset("x", (1000, 1000), "f8", chunks=(100, 100))
    with pytest.raises(CorpusError, match=r"the header of 'x': expected 100 pieces for \(1000, 1000\), found 0"):
        open_matlab(tmp_path / "x.mat").read("x")


def test_other_files_are_no_matlab_files(tmp_path):
    (tmp_path / "x.mat").write_text("<html>please log in</html>")
    with pytest.raises(CorpusError, match=r"x\.mat' is not a MATLAB file: expected .* found '<html>plea'"):
        open_matlab(tmp_path / "x.mat")


def test_a_small_file_of_version_7_3_that_swells_is_refused(tmp_path):
    write_v73(tmp_path / "x.mat", {})
    with h5py.File(tmp_path / "x.mat", "r+") as file:
        file.create_dataset("x", data=np.zeros((4000, 4000)), chunks=(4000, 4000), compression="gzip")
    with pytest.raises(
        CorpusError, match=r"the variable 'x': expected at most 100 times its \d+ bytes, found 128000000"
    ):
        open_matlab(tmp_path / "x.mat").read("x")


@pytest.mark.parametrize("name", [b"\xff\xfe", "#refs#"])
def test_what_is_no_name_of_a_variable_in_version_7_3_is_passed_over(tmp_path, name):
    write_v73(tmp_path / "x.mat", {"a": np.ones((2, 3))})
    with h5py.File(tmp_path / "x.mat", "r+") as file:
        file[name] = np.ones(3)
    assert list(open_matlab(tmp_path / "x.mat").variables) == ["a"]


@pytest.mark.parametrize("version", ["5", "7.3"])
def test_more_variables_than_any_corpus_has_are_refused(tmp_path, monkeypatch, version):
    monkeypatch.setattr(f"scmmlab.corpora.matlab_v{version.replace('.', '')}.MOST_VARIABLES", 3)
    variables = {f"x{number}": np.ones((1, 1)) for number in range(4)}
    if version == "5":
        scipy.io.savemat(tmp_path / "x.mat", variables)
    else:
        write_v73(tmp_path / "x.mat", variables)
    with pytest.raises(CorpusError, match="the number of variables: expected at most 3, found "):
        open_matlab(tmp_path / "x.mat")


@pytest.mark.parametrize("compressed", [False, True, "7.3"])
def test_bytes_that_were_altered_are_refused_in_words_or_read(tmp_path, compressed):
    rng = np.random.default_rng(0)
    path = tmp_path / "x.mat"
    if compressed == "7.3":
        write_v73(path, NUMBERS)
    else:
        scipy.io.savemat(path, NUMBERS, do_compression=compressed)
    whole = path.read_bytes()
    refused = 0
    for _ in range(200):
        altered = bytearray(whole)
        for at in rng.integers(0, 4096, size=rng.integers(1, 6)):
            altered[at] = rng.integers(0, 256)
        path.write_bytes(altered)
        try:
            file = open_matlab(path)
            [file.read(name) for name in file.variables]
        except CorpusError as error:
            refused += "expected" in error.message
    assert refused
