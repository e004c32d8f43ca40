"""Python's unpickler, cut down to what NumPy's arrays are made of.

A pickle is a program that can import and call whatever it names. Here only the opcodes that make plain data (numbers,
strings, lists, tuples, dictionaries) are left, and a few names, which are never imported: they stand for steps of this
module. Every array is made here, from bytes that are there, and all arrays together are no larger than the pickle,
however often it names the same data.

It is the unpickler that is written in Python: that written in C makes room for as many values as a pickle says that it
will remember, gigabytes for a pickle of nine bytes (docs/decisions/0017-readers-arrays-from-pickles.md).
"""

from __future__ import annotations

import io
import math
import pickle
import pickletools
import re
from collections.abc import Callable
from enum import Enum
from typing import Any, ClassVar

import numpy as np

from scmmlab.errors import first_line

_DTYPE = re.compile(r"b1|i[1248]|u[1248]|f[248]|[SU][1-9]\d{0,9}|O8|O4|O")


class _Name(Enum):
    """The names that a pickle may use. An enum, because a pickle can neither call nor change its members."""

    RECONSTRUCT = "an empty array, whose state follows"
    NDARRAY = "the type of arrays"
    DTYPE = "the type of an array's items"
    SCALAR = "one item of an array"
    FROM_BUFFER = "an array from its bytes (protocol 5)"
    ENCODE = "bytes that were written as text (protocol 2 of Python 3)"
    BYTES = "no bytes at all (the same)"


# numpy 2 has renamed the module `core` to `_core`; files of both are met
_NAMES = {
    **{f"numpy.{core}.multiarray _reconstruct": _Name.RECONSTRUCT for core in ("core", "_core")},
    **{f"numpy.{core}.multiarray scalar": _Name.SCALAR for core in ("core", "_core")},
    **{f"numpy.{core}.numeric _frombuffer": _Name.FROM_BUFFER for core in ("core", "_core")},
    "numpy ndarray": _Name.NDARRAY,
    "numpy dtype": _Name.DTYPE,
    "_codecs encode": _Name.ENCODE,
    "__builtin__ bytes": _Name.BYTES,
    "builtins bytes": _Name.BYTES,
}

# fmt: off
_ALLOWED = frozenset((
    "PROTO", "FRAME", "STOP", "MARK", "GLOBAL", "STACK_GLOBAL",
    "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT", "NONE", "NEWTRUE", "NEWFALSE",
    "STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8",
    "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8",
    "EMPTY_LIST", "LIST", "APPEND", "APPENDS", "EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "EMPTY_DICT",
    "PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE", "GET", "BINGET", "LONG_BINGET",
))
# fmt: on
"""Opcodes that are carried out as Python does; those for calls, states and keys are carried out here."""


class PickleRefusedError(ValueError):
    """What a pickle holds that is no array, number, string or container, or where it breaks off."""


class _Dtype:
    """A dtype, of which a pickle tells the byte order after it has made it."""

    def __init__(self, text: object):
        if not isinstance(text, str) or not _DTYPE.fullmatch(text):
            raise PickleRefusedError(f"an array of {text!r}")
        self.value = np.dtype("O" if text.startswith("O") else text)

    def set_state(self, state: object) -> None:
        # (version, byte order, subarray, names, fields, item size, alignment, flags)
        if not isinstance(state, tuple) or len(state) < 5 or state[2:5] != (None, None, None):
            raise PickleRefusedError("an array whose items have fields")
        if state[1] not in ("<", ">", "|", "="):
            raise PickleRefusedError(f"an array of byte order {state[1]!r}")
        self.value = self.value.newbyteorder(state[1])


def _refusal(found: str) -> Callable[[ArrayUnpickler], None]:
    def refuse(_: ArrayUnpickler) -> None:
        raise PickleRefusedError(found)

    return refuse


class ArrayUnpickler(pickle._Unpickler):
    """Reads one pickle.

    Parameters
    ----------
    data : bytes
        The pickle. Strings of Python 2 are read as Latin-1, which keeps every byte.
    """

    # the stub files of Python's library leave these two out
    stack: list[Any]
    pop_mark: Callable[[], list[Any]]

    def __init__(self, data: bytes):
        self._stream, self._size = io.BytesIO(data), len(data)
        super().__init__(self._stream, encoding="latin1")
        self._in_arrays = self._in_bytes = 0

    def load(self) -> Any:
        """What the pickle holds.

        Raises
        ------
        PickleRefusedError
            If it holds anything other than arrays, numbers, strings, lists, tuples and dictionaries, or breaks off.
        """
        try:
            value = super().load()
        except PickleRefusedError:
            raise
        # a pickle that was cut or tampered with may fail in any step, with whatever that step raises
        except Exception as error:
            at = f"at byte {self._stream.tell()} of {self._size}"
            raise PickleRefusedError(f"a damaged pickle {at} ({first_line(error)[:200]})") from error
        _refuse_parts(value)
        return value

    def find_class(self, module: str, name: str) -> Any:
        """What a name stands for; nothing is imported."""
        if f"{module} {name}" not in _NAMES:
            raise PickleRefusedError(f"the name '{module}.{name}', which is not part of an array")
        return _NAMES[f"{module} {name}"]

    def _reduce(self) -> None:
        arguments, name = self.stack.pop(), self.stack.pop()
        if not isinstance(name, _Name) or not isinstance(arguments, tuple):
            raise PickleRefusedError("a call of something that is not a function")
        value = _call(name, arguments)
        self._count(value)
        self.stack.append(value)

    def _build(self) -> None:
        state, target = self.stack.pop(), self.stack[-1]
        if isinstance(target, _Dtype):
            target.set_state(state)
        elif isinstance(target, np.ndarray):
            _fill(target, state)
            self._count(target)
        else:
            raise PickleRefusedError(f"a state for a {type(target).__name__}")

    def _set_items(self, items: list[Any]) -> None:
        for key in items[::2]:
            # hashing a tuple of tuples that share their items takes exponential time
            if not isinstance(key, str | bytes | int | float | None):
                raise PickleRefusedError(f"a dictionary with a {type(key).__name__} as a key")
        self.stack[-1].update(zip(items[::2], items[1::2], strict=True))

    def _set_item(self) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self._set_items([key, value])

    def _dictionary(self) -> None:
        items = self.pop_mark()
        self.stack.append({})
        self._set_items(items)

    def _count(self, value: Any) -> None:
        """Refuse to make more of the pickle than it holds: data may be named again, but fill no second array."""
        if isinstance(value, np.ndarray):
            # an object takes a byte of the pickle at least
            self._in_arrays += value.size if value.dtype.hasobject else value.nbytes
        elif isinstance(value, bytes):
            self._in_bytes += len(value)
        made = max(self._in_arrays, self._in_bytes)
        if made > self._size:
            raise PickleRefusedError(f"arrays of {made} bytes or more in a pickle of {self._size}")

    dispatch: ClassVar[dict[int, Any]] = {
        **{code: _refusal(f"the byte {code}, which is not an opcode") for code in range(256)},
        **{
            ord(opcode.code): _refusal(f"the opcode {opcode.name}, which makes other objects than arrays")
            for opcode in pickletools.opcodes
        },
        **{
            ord(opcode.code): pickle._Unpickler.dispatch[ord(opcode.code)]
            for opcode in pickletools.opcodes
            if opcode.name in _ALLOWED
        },
        pickle.REDUCE[0]: _reduce,
        pickle.BUILD[0]: _build,
        pickle.SETITEM[0]: _set_item,
        pickle.SETITEMS[0]: lambda self: self._set_items(self.pop_mark()),
        pickle.DICT[0]: _dictionary,
    }


def _call(name: _Name, arguments: tuple[Any, ...]) -> Any:
    match name, arguments:
        case _Name.RECONSTRUCT, (_Name.NDARRAY, tuple(), _):
            # the shape that is asked for here is always (0,); the true one comes with the data
            return np.empty(0, "b")
        case _Name.DTYPE, (text, *_):
            return _Dtype(text)
        case _Name.SCALAR, (_Dtype() as dtype, raw):
            return _array((), dtype, raw, fortran=False)[()]
        case _Name.FROM_BUFFER, (raw, _Dtype() as dtype, tuple() as shape, "C" | "F" as order):
            return _array(shape, dtype, raw, order == "F")
        case _Name.ENCODE, (str() as text, "latin1" | "latin-1"):
            return text.encode("latin-1")
        case _Name.BYTES, ():
            return b""
    raise PickleRefusedError(f"a call that makes no array ({name.name})")


def _fill(target: np.ndarray[Any, Any], state: object) -> None:
    """Give an array that has been made its shape, its dtype and its data, which must be as many as these take."""
    match state:
        case (int() as version, tuple() as shape, _Dtype() as dtype, bool() | int() as fortran, raw):
            checked: Any = (version, shape, dtype.value, bool(fortran), _content(shape, dtype, raw))
            target.__setstate__(checked)
        case _:
            raise PickleRefusedError("an array whose state is not that of an array")


def _array(shape: tuple[Any, ...], dtype: _Dtype, raw: Any, fortran: bool) -> np.ndarray[Any, Any]:
    array = np.empty(0, "b")
    _fill(array, (1, shape, dtype, fortran, raw))
    return array


def _content(shape: tuple[Any, ...], dtype: _Dtype, raw: Any) -> bytes | list[Any]:
    if not all(type(length) is int and length >= 0 for length in shape) or len(shape) > 32:
        raise PickleRefusedError(f"an array of shape {shape}")
    count = math.prod(shape)
    if dtype.value.hasobject:
        if type(raw) is not list or len(raw) != count:
            raise PickleRefusedError(f"an array of shape {shape} whose items are not there")
        return raw
    content = raw.encode("latin-1") if isinstance(raw, str) else raw
    if not isinstance(content, bytes | bytearray):
        raise PickleRefusedError(f"an array whose data are a {type(raw).__name__}")
    needed = count * dtype.value.itemsize
    if len(content) != needed:
        raise PickleRefusedError(
            f"an array of shape {shape} and type {dtype.value}, which takes {needed} bytes, with {len(content)} bytes"
        )
    return bytes(content)


def _refuse_parts(value: Any) -> None:
    """Raise where a name or a type of items, which mean nothing outside an array, is among the values."""
    seen: set[int] = set()
    values = [value]
    while values:
        each = values.pop()
        if isinstance(each, _Name | _Dtype):
            raise PickleRefusedError("a part of an array outside an array")
        if id(each) in seen:
            continue
        seen.add(id(each))
        if isinstance(each, dict):
            values += each.values()
        elif isinstance(each, list | tuple):
            values += each
        elif isinstance(each, np.ndarray) and each.dtype.hasobject:
            values += each.reshape(-1).tolist()
