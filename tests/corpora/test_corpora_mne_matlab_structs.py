"""EEGLAB files are held to MATLAB's form before SciPy, which some forms would crash, reads them."""

import struct

import lab_files
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.io import loadmat, savemat

from scmmlab.corpora.lab.matlab_structs import check_structs
from scmmlab.errors import CorpusError

CONTENT = {
    "EEG": {
        "data": "sub1.fdt",
        "empty": np.array([]),
        "complex": np.array([1 + 2j, 3]),
        "cell": np.array([["a", np.eye(2)]], dtype=object),
        "events": np.array([("calm", 1.0), ("tense", 2.0)], dtype=[("type", object), ("latency", object)]),
        "flag": np.array([True, False]),
    },
    "small": np.int8(3),
}


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("content", [CONTENT, {"x": np.arange(10.0)}, {"text": "µV and words"}])
def test_what_scipy_writes_has_its_form(tmp_path, content, compressed):
    savemat(tmp_path / "a.set", content, appendmat=False, do_compression=compressed)
    check_structs(tmp_path / "a.set")


def test_what_eeglabio_writes_has_its_form(tmp_path):
    lab_files.write_eeglab(tmp_path / "a.set")
    check_structs(tmp_path / "a.set")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = tmp_path_factory.mktemp("set") / "a.set"
    savemat(path, CONTENT, appendmat=False)
    return path.read_bytes()


def test_names_of_fields_without_a_length_are_refused(tmp_path, whole):
    # a small element: type 5 (a whole number), 4 bytes, the length of the names of the struct's fields
    tag = struct.pack("<HHi", 5, 4, 8)
    assert tag in whole
    (tmp_path / "a.set").write_bytes(whole.replace(tag, struct.pack("<HHi", 5, 4, 0)))
    with pytest.raises(
        CorpusError, match=r"a.set' is damaged in the field names of 'EEG': expected names of one length"
    ):
        check_structs(tmp_path / "a.set")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (struct.pack("<IIII", 5, 8, 1, 2), struct.pack("<IIii", 5, 8, -1, 2), "none negative, found \\(-1, 2\\)"),
        (
            struct.pack("<IIII", 5, 8, 1, 2),
            struct.pack("<IIII", 5, 8, 1, 900),
            "the header of .*: expected 7200 bytes for \\(1, 900\\)",
        ),
        (
            struct.pack("<IIII", 6, 8, 1, 0),
            struct.pack("<IIII", 6, 8, 99, 0),
            "another kind: expected numbers, text, a struct or a cell, found unknown",
        ),
    ],
)
def test_numbers_that_cannot_be_are_refused(tmp_path, whole, old, new, message):
    assert old in whole
    (tmp_path / "a.set").write_bytes(whole.replace(old, new, 1))
    with pytest.raises(CorpusError, match=f"a.set'.*{message}"):
        check_structs(tmp_path / "a.set")


def test_complex_numbers_that_lack_a_part_are_refused(tmp_path, whole):
    # the flags of an empty array of doubles, and its dimensions
    flags, shape = struct.pack("<IIII", 6, 8, 6, 0), struct.pack("<IIII", 5, 8, 0, 0)
    assert flags + shape in whole
    changed = whole.replace(flags + shape, struct.pack("<IIII", 6, 8, 6 | 0x800, 0) + shape)
    (tmp_path / "a.set").write_bytes(changed)
    with pytest.raises(CorpusError, match=r"the numbers of 'EEG\(1\).empty': expected 8 bytes or more, found 0"):
        check_structs(tmp_path / "a.set")


def test_arrays_nested_without_end_are_refused(tmp_path):
    inner = b""
    for _ in range(60):
        head = struct.pack("<IIII", 6, 8, 1, 0) + struct.pack("<IIII", 5, 8, 1, 1) + struct.pack("<II", 1, 0)
        inner = struct.pack("<II", 14, len(head) + len(inner)) + head + inner
    (tmp_path / "a.set").write_bytes(b"MATLAB 5.0".ljust(124) + b"\x00\x01IM" + inner)
    with pytest.raises(CorpusError, match="expected arrays nested 40 deep at most, found more"):
        check_structs(tmp_path / "a.set")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=4))
def test_what_passes_can_be_read_or_refused_by_scipy(tmp_path, whole, changes):
    """A crash would end the tests."""
    content = bytearray(whole)
    for place, value in changes:
        content[128 + place % (len(content) - 128)] = value
    path = tmp_path / "a.set"
    path.write_bytes(content)
    try:
        check_structs(path)
    except CorpusError as error:
        assert "\n" not in error.message  # noqa: PT017
        return
    try:
        loadmat(path)
    except (ValueError, TypeError, KeyError, IndexError, OSError, OverflowError, NotImplementedError):
        return
