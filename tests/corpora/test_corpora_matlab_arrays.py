"""Structs and cells of MATLAB files are read as they go by, and never beyond what is there."""

import struct
import tracemalloc
import zlib

import h5py
import numpy as np
import pytest
import scipy.io

from scmmlab.corpora.fakes.nested_files import Later, MatlabCell, write_nested
from scmmlab.corpora.matlab_v5 import open_variable
from scmmlab.errors import CorpusError

BIG = np.random.default_rng(0).normal(size=(2000, 14))


def content():
    cell = np.empty((2, 2), object)
    cell[0, 0], cell[1, 0], cell[0, 1], cell[1, 1] = BIG, np.arange(6, dtype="i2").reshape(2, 3), "text", {"x": 1.5}
    return {"first": cell, "second": np.array([[3.0]]), "third": "Müller", "nothing": np.zeros((0, 0))}


@pytest.fixture(params=[True, False], ids=["compressed", "plain"])
def path(request, tmp_path):
    path = tmp_path / "a.mat"
    scipy.io.savemat(path, {"before": np.ones((3, 3)), "S": content()}, do_compression=request.param)
    return path


def everything(path):
    found = {}
    with open_variable(path, "S") as variable:
        for name, field in variable.fields():
            if name == "first":
                found[name] = [
                    {key: part.numbers().item() for key, part in cell.fields()}
                    if cell.kind == "struct"
                    else cell.text()
                    if cell.kind == "char"
                    else cell.numbers()
                    for cell in field.cells()
                ]
            else:
                found[name] = field.text() if field.kind == "char" else field.numbers()
    return found


def test_what_was_written_is_read_in_its_order(path):
    found = everything(path)
    assert list(found) == ["first", "second", "third", "nothing"]
    np.testing.assert_array_equal(found["first"][0], BIG)
    np.testing.assert_array_equal(found["first"][1], np.arange(6).reshape(2, 3))
    assert found["first"][1].dtype == np.int16
    assert found["first"][2:] == ["text", {"x": 1.5}]
    assert found["second"] == [[3.0]]
    assert found["third"] == "Müller"
    assert found["nothing"].shape == (0, 0)


def test_what_is_not_read_is_passed_over(path):
    with open_variable(path, "S") as variable:
        assert (variable.name, variable.kind, variable.shape) == ("S", "struct", (1, 1))
        kinds = {name: (field.kind, field.shape, field.where) for name, field in variable.fields()}
    assert kinds["first"] == ("cell", (2, 2), "S.first")
    assert kinds["second"] == ("double", (1, 1), "S.second")
    assert kinds["third"][0] == "char"


def test_another_variable_is_asked_for(path):
    with pytest.raises(CorpusError, match=r"a.mat' has no variable 'T': expected it, found before, S"):
        read(path, "fields", "T")


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9, 0.99])
def test_a_truncated_file_is_refused(path, share):
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(CorpusError, match=r"a.mat' is damaged in .*: expected .*, found "):
        everything(path)


def test_a_file_of_version_73_is_refused(tmp_path):
    with h5py.File(tmp_path / "a.mat", "w", userblock_size=512):
        pass
    with (tmp_path / "a.mat").open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file")
    with pytest.raises(CorpusError, match=r"a.mat' is of another version: expected MATLAB 5 to 7, found 7.3") as error:
        read(tmp_path / "a.mat", "fields")
    assert "-v7" in error.value.hint


def test_text_is_no_matlab_file(tmp_path):
    (tmp_path / "a.mat").write_text("hello, this is text and not what it should be")
    with pytest.raises(
        CorpusError, match=r"is not a MATLAB file: expected one that starts with 'MATLAB 5.0' or .* found 'hello"
    ):
        read(tmp_path / "a.mat", "fields")


def read(path, what, name="S"):
    with open_variable(path, name) as variable:
        getattr(variable, what)() if what in ("numbers", "text") else list(getattr(variable, what)())


@pytest.mark.parametrize(
    ("value", "what", "message"),
    [
        (
            np.ones((2, 2)),
            "fields",
            r"'S' in .* is of another kind: expected a struct of 1 x 1, found double of \(2, 2\)",
        ),
        (np.ones((2, 2)), "cells", r"expected a cell, found double of \(2, 2\)"),
        (np.ones((2, 2)), "text", r"expected text, found double"),
        ("text", "numbers", r"expected real numbers, found char"),
        (1j * np.ones((2, 2)), "numbers", r"expected real numbers, found complex double of \(2, 2\)"),
        (np.zeros((2, 1), [("x", "f8")]), "fields", r"expected a struct of 1 x 1, found struct of \(2, 1\)"),
    ],
)
def test_what_is_of_another_kind_is_refused(tmp_path, value, what, message):
    scipy.io.savemat(tmp_path / "a.mat", {"S": value})
    with pytest.raises(CorpusError, match=message):
        read(tmp_path / "a.mat", what)


def patch(path, old, new):
    data = path.read_bytes()
    assert data.count(old) == 1, data.count(old)
    path.write_bytes(data.replace(old, new))


def dimensions(rows, columns):
    return struct.pack("<IIii", 5, 8, rows, columns)


@pytest.mark.parametrize(("rows", "columns"), [(2**30, 14), (2001, 14), (1999, 14), (-2000, -14)])
def test_dimensions_that_lie_are_refused_before_anything_is_made_for_them(tmp_path, rows, columns):
    scipy.io.savemat(tmp_path / "a.mat", {"S": content()})
    patch(tmp_path / "a.mat", dimensions(2000, 14), dimensions(rows, columns))
    tracemalloc.start()
    with pytest.raises(CorpusError, match=r"a.mat' is damaged in .* of 'S.first\{1\}': expected "):
        everything(tmp_path / "a.mat")
    assert tracemalloc.get_traced_memory()[1] < 5e6
    tracemalloc.stop()


def test_a_cell_that_claims_more_than_it_has_is_refused(tmp_path):
    cell = np.empty((7, 3), object)
    cell[:] = 1.0
    scipy.io.savemat(tmp_path / "a.mat", {"S": cell})
    patch(tmp_path / "a.mat", dimensions(7, 3), dimensions(2**30, 2))
    with pytest.raises(CorpusError, match=r"is damaged in 'S': expected 'S\{22\}' in it, found its end"):
        read(tmp_path / "a.mat", "cells")


def test_a_part_that_is_longer_than_the_whole_is_refused(tmp_path):
    scipy.io.savemat(tmp_path / "a.mat", {"S": {"x": np.ones((5, 9))}})
    # the tag of the field: type 14 and 56 bytes of header with 360 of numbers
    patch(tmp_path / "a.mat", struct.pack("<II", 14, 408), struct.pack("<II", 14, 4080))
    with pytest.raises(CorpusError, match=r"the size of 'S.x': expected 408 bytes at most, found 4080"):
        read(tmp_path / "a.mat", "fields")


@pytest.mark.parametrize(("end", "message"), [(b"\0\0\0\0", "incorrect data check"), (b"", "breaks off")])
def test_a_checksum_that_does_not_fit_is_noticed_at_the_end(tmp_path, end, message):
    path = tmp_path / "a.mat"
    scipy.io.savemat(path, {"S": content()}, do_compression=True)
    whole = bytearray(path.read_bytes()[:-4] + end)
    whole[132:136] = struct.pack("<I", len(whole) - 136)
    path.write_bytes(whole)
    with pytest.raises(CorpusError, match=message):
        everything(path)


def test_a_variable_that_goes_on_after_its_end_is_refused(tmp_path):
    path = tmp_path / "a.mat"
    scipy.io.savemat(path, {"S": content()}, do_compression=True)
    inside = zlib.compress(zlib.decompress(path.read_bytes()[136:]) + b"\0" * 64)
    path.write_bytes(path.read_bytes()[:132] + struct.pack("<I", len(inside)) + inside)
    with pytest.raises(CorpusError, match=r"the size of 'S': expected \d+ bytes, found more of them"):
        everything(path)


def test_what_fakes_write_is_what_scipy_reads(tmp_path):
    made = np.random.default_rng(1).normal(size=(7, 3))
    content = {"A": MatlabCell((1, 2), ["ab", {"x": 2.0}]), "name_of_a_field": Later((7, 3), lambda: made)}
    write_nested(tmp_path / "a.mat", "S", content)
    found = scipy.io.loadmat(tmp_path / "a.mat")["S"][0, 0]
    assert found.dtype.names == ("A", "name_of_a_field")
    np.testing.assert_array_equal(found["name_of_a_field"], made)
    assert found["A"].shape == (1, 2)
    assert found["A"][0, 0] == ["ab"]
    assert found["A"][0, 1]["x"][0, 0] == [[2.0]]
