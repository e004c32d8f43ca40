"""Pickles of arrays are read, and nothing in them is ever run, whatever they say."""

import contextlib
import io
import os
import pickle
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from scmmlab.corpora.unpickling import load_npz_safely, load_pickle_safely, unpickle_safely
from scmmlab.errors import CorpusError


def python2_pickle(arrays, core="numpy.core"):
    """A dictionary of float64 arrays as Python 2's cPickle wrote it with protocol 2: bytes are BINSTRINGs."""
    out = b"\x80\x02}("
    for name, array in arrays.items():
        raw = array.tobytes()
        out += b"U" + bytes([len(name)]) + name.encode()
        out += b"c" + core.encode() + b".multiarray\n_reconstruct\n" + b"cnumpy\nndarray\nK\x00\x85U\x01b\x87R"
        out += b"(K\x01(" + b"".join(b"M" + struct.pack("<H", length) for length in array.shape) + b"t"
        out += b"cnumpy\ndtype\nU\x02f8K\x00K\x01\x87R(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
        out += b"\x89T" + struct.pack("<i", len(raw)) + raw + b"tb"
    return out + b"u."


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("dtype", ["<f8", ">f8", "<f4", "<i2", "|u1", "?", "<U3", "S4"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_of_every_protocol_type_and_order_come_back(protocol, dtype, order):
    array = np.asarray(np.arange(24).reshape(2, 3, 4) % 2, dtype, order=order)
    value = unpickle_safely(pickle.dumps({"data": array, "again": array}, protocol), "a pickle")
    np.testing.assert_array_equal(value["data"], array)
    assert value["data"].dtype == array.dtype.newbyteorder("="), "as numpy does"
    assert value["again"] is value["data"]
    assert value["data"].flags.writeable


@settings(max_examples=60, deadline=None)
@given(
    value=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner) | st.tuples(inner, inner),
        max_leaves=8,
    ),
    protocol=st.integers(0, pickle.HIGHEST_PROTOCOL),
)
def test_numbers_strings_and_containers_come_back(value, protocol):
    assert unpickle_safely(pickle.dumps(value, protocol), "a pickle") == value


@settings(max_examples=60, deadline=None)
@given(npst.arrays(npst.floating_dtypes(sizes=(32, 64)), npst.array_shapes(min_dims=0, min_side=0)))
def test_any_array_comes_back(array):
    np.testing.assert_array_equal(unpickle_safely(pickle.dumps(array), "a pickle"), array)


@pytest.mark.parametrize("core", ["numpy.core", "numpy._core"])
def test_what_python_2_wrote_comes_back(core):
    arrays = {"labels": np.arange(6.0).reshape(3, 2), "data": np.random.default_rng(0).normal(size=(2, 3, 4))}
    value = unpickle_safely(python2_pickle(arrays, core), "a pickle")
    assert list(value) == ["labels", "data"]
    for name, array in arrays.items():
        np.testing.assert_array_equal(value[name], array)


def test_bytes_in_the_text_protocol_of_python_2_are_kept():
    assert unpickle_safely(b"S'a\\xff\\n\\'\\\\'\np0\n.", "a pickle") == "a\xff\n'\\"


def test_scalars_and_arrays_of_objects_come_back():
    inner = np.empty(2, object)
    inner[:] = [np.arange(3.0), {"a": 1}]
    value = unpickle_safely(pickle.dumps((np.float64(2.5), np.int32(7), inner)), "a pickle")
    assert value[:2] == (2.5, 7)
    np.testing.assert_array_equal(value[2][0], np.arange(3.0))
    assert value[2][1] == {"a": 1}


class RunsACommand:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("wrap", [lambda bomb: bomb, lambda bomb: {"data": [np.zeros(3), (bomb,)]}])
def test_a_pickle_that_runs_a_command_is_refused_and_runs_nothing(tmp_path, protocol, wrap):
    marker, file = tmp_path / "was_run", tmp_path / "s01.dat"
    file.write_bytes(pickle.dumps(wrap(RunsACommand(marker)), protocol))
    with pytest.raises(
        CorpusError, match=r"s01.dat cannot be read: expected a pickle of arrays, found the name 'posix.system'"
    ):
        load_pickle_safely(file)
    assert not marker.exists()


REFUSED = {
    "a builtin": b"cbuiltins\neval\n(V1+1\ntR.",
    "a builtin of python 2": b"c__builtin__\nexec\n(V1\ntR.",
    "a name in parts": b"\x80\x04\x8c\x05numpy\x8c\x0ectypeslib.os.system\x93)R.",
    "a name put together on the stack": b"\x80\x04\x8c\x02os\x94\x8c\x06system\x94h\x00h\x01\x93(V1\ntR.",
    "another function of numpy": b"cnumpy\nfromfile\n(V/etc/passwd\ntR.",
    "a loader of numpy": b"cnumpy\nload\n(V/etc/passwd\ntR.",
    "numpy's ndarray called": b"cnumpy\nndarray\n(I1000000000000\ntR.",
    "a type as state": b"cnumpy\nndarray\n}(V__class__\nNub.",
    "another codec": b"c_codecs\nencode\n(Vdata\nVzlib\ntR.",
    "bytes of a size": b"c__builtin__\nbytes\n(I1000000000000\ntR.",
    "an object of python 2": b"(ios\nsystem\n.",
    "an object of an object": b"(cnumpy\nndarray\no.",
    "a new object": b"\x80\x02cnumpy\nndarray\n)\x81.",
    "an extension": b"\x80\x02\x82\x01.",
    "a persistent name": b"Psomewhere\n.",
    "a set": b"\x80\x04\x8f.",
    "a state for a dictionary": b"}}b.",
    "a name by itself": b"cnumpy\nndarray\n.",
    "a name in a list": b"](cnumpy\nndarray\ne.",
    "a dictionary as a key": b"}}Ns.",
    "a tuple as a key": b"}(K\x01K\x02\x86K\x03d.",
    "a name in an array of objects": pickle.dumps(np.array([None], object), 2).replace(
        b"\x11N", b"\x11cnumpy\nndarray\n"
    ),
    "a memo that was never written": b"h\x07.",
    "an empty stack": b"0.",
    "a mark that is not there": b"t.",
    "an item taken from below a mark": b"K\x01(\x85.",
    "a byte that is no opcode": b"\xff.",
    "nothing": b"",
    "text": b"Participant_id,Trial\n",
}


@pytest.mark.parametrize("pickled", REFUSED.values(), ids=REFUSED)
def test_what_is_no_array_is_refused(pickled):
    with pytest.raises(CorpusError, match="a file cannot be read: expected a pickle of arrays, found "):
        unpickle_safely(pickled, "a file")


def array_pickle(shape=(2, 3), dtype="f8", order="<", raw=48, fields="NNN"):
    head = b"\x80\x02cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85C\x01b\x87R(K\x01("
    lengths = b"".join(b"\x8a\x08" + struct.pack("<q", length) for length in shape) + b"t"
    kind = b"cnumpy\ndtype\nU" + bytes([len(dtype)]) + dtype.encode() + b"K\x00K\x01\x87R(K\x03U\x01" + order.encode()
    return (
        head
        + lengths
        + kind
        + fields.encode()
        + b"K\x00K\x00K\x00tb\x89B"
        + struct.pack("<i", raw)
        + bytes(raw)
        + b"tb."
    )


def test_the_pickle_that_the_next_tests_alter_is_read():
    np.testing.assert_array_equal(unpickle_safely(array_pickle(), "a file"), np.zeros((2, 3)))


@pytest.mark.parametrize(
    ("altered", "found"),
    [
        ({"shape": (2, 4)}, r"shape \(2, 4\) and type float64, which takes 64 bytes, with 48 bytes"),
        ({"shape": (2**40, 2**40)}, "with 48 bytes"),
        ({"shape": (-2, -3)}, r"an array of shape \(-2, -3\)"),
        ({"dtype": "f4"}, "which takes 24 bytes, with 48"),
        ({"dtype": "V8"}, "an array of 'V8'"),
        ({"dtype": "M8"}, "an array of 'M8'"),
        ({"dtype": "S0"}, "an array of 'S0'"),
        ({"dtype": "O8"}, "items are not there"),
        ({"dtype": "U99999999", "shape": (9,)}, "with 48 bytes"),
        ({"order": "?"}, "byte order"),
        ({"fields": "N}N"}, "fields"),
    ],
)
def test_an_array_that_claims_what_it_has_not_is_refused_before_room_is_made_for_it(altered, found):
    with pytest.raises(CorpusError, match=found):
        unpickle_safely(array_pickle(**altered), "a file")


@pytest.mark.parametrize(
    "opcode", [b"T" + struct.pack("<i", 2**31 - 1), b"\x8e" + struct.pack("<q", 2**60), b"r\xff\xff\xff\xff"]
)
def test_a_length_beyond_the_file_is_refused_before_room_is_made_for_it(opcode):
    with pytest.raises(CorpusError, match="expected a pickle of arrays, found "):
        unpickle_safely(b"\x80\x04" + opcode + b"abc", "a file")


def test_every_truncation_is_refused():
    whole = pickle.dumps({"data": np.arange(6.0), "labels": np.zeros((2, 2))}, 2)
    for length in range(len(whole)):
        with pytest.raises(CorpusError, match="cannot be read"):
            unpickle_safely(whole[:length], "a file")


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_damaged_pickle_is_read_or_refused_and_does_nothing_else(data):
    whole = bytearray(pickle.dumps({"data": np.arange(3.0), "n": [1, (2, None)]}, data.draw(st.integers(0, 5))))
    for _ in range(data.draw(st.integers(1, 3))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    # any other error than ours would fail the test
    with contextlib.suppress(CorpusError):
        unpickle_safely(bytes(whole), "a file")


def test_a_file_that_is_not_there_is_named(tmp_path):
    for load in (load_pickle_safely, load_npz_safely):
        with pytest.raises(CorpusError, match=r"nothing cannot be read: expected .* found No such file"):
            load(tmp_path / "nothing")


# ---- .npz


def test_an_npz_of_arrays_pickles_and_objects_comes_back(tmp_path):
    trials = {index: np.full((3, 310), float(index)) for index in range(2)}
    objects = np.empty(2, object)
    objects[:] = list(trials.values())
    np.savez(tmp_path / "1_123.npz", plain=np.eye(3), data=pickle.dumps(trials), label=objects, text=b"no pickle")
    value = load_npz_safely(tmp_path / "1_123.npz")
    np.testing.assert_array_equal(value["plain"], np.eye(3))
    np.testing.assert_array_equal(value["data"][1], trials[1])
    np.testing.assert_array_equal(value["label"][1], trials[1])
    assert value["text"].item() == b"no pickle"


@pytest.mark.parametrize("how", ["as bytes", "as an object"])
def test_an_npz_that_runs_a_command_is_refused_and_runs_nothing(tmp_path, how):
    bomb = RunsACommand(tmp_path / "was_run")
    objects = np.empty((), object)
    objects[()] = bomb
    np.savez(tmp_path / "1_123.npz", data=pickle.dumps(bomb) if how == "as bytes" else objects)
    with pytest.raises(CorpusError, match=r"data.npy in .*1_123.npz cannot be read: .*found the name 'posix.system'"):
        load_npz_safely(tmp_path / "1_123.npz")
    assert not (tmp_path / "was_run").exists()


def write_member(path, header, data):
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, header)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("data.npy", stream.getvalue() + data)


@pytest.mark.parametrize("shape", [(10**12,), (4,), (2**62, 2**62), (2,)])
def test_an_npy_header_that_lies_is_refused(tmp_path, shape):
    write_member(tmp_path / "a.npz", {"descr": "<f8", "fortran_order": False, "shape": shape}, bytes(24))
    with pytest.raises(
        CorpusError, match=r"The header of data.npy in .*a.npz is wrong: expected \d+ bytes .* found 24"
    ):
        load_npz_safely(tmp_path / "a.npz")


def test_an_npz_that_would_grow_without_bound_is_refused(tmp_path):
    np.savez_compressed(tmp_path / "a.npz", data=np.zeros(1_000_000))
    with pytest.raises(CorpusError, match="cannot be what it claims"):
        load_npz_safely(tmp_path / "a.npz")


def test_every_truncation_of_an_npz_is_refused(tmp_path):
    np.savez_compressed(tmp_path / "a.npz", data=np.arange(20.0))
    whole = (tmp_path / "a.npz").read_bytes()
    for length in range(0, len(whole), 7):
        (tmp_path / "b.npz").write_bytes(whole[:length])
        with pytest.raises(CorpusError, match=r"b\.npz"):
            load_npz_safely(tmp_path / "b.npz")


def naming_its_data_again(times, size=1000):
    """A list of the same text and of arrays that each name it as their data, in protocol 2."""
    dtype = b"cnumpy\ndtype\n(U\x02u1K\x00K\x01tR(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\x00\x85U\x01btR(K\x01J" + size.to_bytes(4, "little")
        + b"\x85" + dtype + b"\x89j\x05\0\0\0tba"
    )  # fmt: skip
    return b"\x80\x02]T" + size.to_bytes(4, "little") + bytes(size) + b"r\x05\0\0\0a" + times * array + b"."


def test_data_that_is_named_again_and_again_does_not_fill_the_memory():
    _, array = unpickle_safely(naming_its_data_again(1), "a pickle")
    np.testing.assert_array_equal(array, np.zeros(1000))
    with pytest.raises(CorpusError, match=r"found arrays of 2000 bytes or more in a pickle of \d+\."):
        unpickle_safely(naming_its_data_again(2), "a pickle")
    encoded = (
        b"\x80\x02]X\xe8\x03\0\0" + bytes(1000) + b"q\x05a" + 3 * b"c_codecs\nencode\nh\x05U\x06latin1\x86Ra" + b"."
    )
    with pytest.raises(CorpusError, match=r"found arrays of 2000 bytes or more in a pickle of \d+\."):
        unpickle_safely(encoded, "a pickle")


def test_the_number_that_a_value_is_remembered_by_makes_no_room():
    """Python's unpickler in C makes room for as many values: 1.5 GiB here."""
    tracemalloc.start()
    assert unpickle_safely(b"\x80\x02Nr" + struct.pack("<I", 100_000_000) + b".", "a pickle") is None
    assert tracemalloc.get_traced_memory()[1] < 1e6
    tracemalloc.stop()


def test_keys_whose_hash_would_take_for_ever_are_refused():
    nested = b"K\x01\x85q\0" + b"".join(b"h%c\x86q%c" % (depth, depth + 1) for depth in range(100))
    with pytest.raises(CorpusError, match="found a dictionary with a tuple as a key"):
        unpickle_safely(b"\x80\x02}" + nested + b"Ns.", "a pickle")


def test_a_list_that_holds_itself_is_read():
    value = unpickle_safely(b"\x80\x02]q\0h\0a.", "a pickle")
    assert value[0] is value
