"""A machine that carries out the pickles that numpy writes, and has no way to carry out anything else.

A pickle is a program for a stack machine that can import and call whatever it names. This one knows the values that
data are made of (numbers, strings, lists, tuples, dictionaries) and seven names, which it never imports: they stand for
its own steps, and every array is made here, from bytes that are there. Opcodes that would make any other object are
refused by name. Nothing is allocated by what a pickle claims: an array is as large as its data, and all arrays together
are no larger than the pickle, however often it names the same data.
"""

from __future__ import annotations

import io
import math
import pickletools
import re
from collections.abc import Callable
from enum import Enum
from typing import Any

import numpy as np

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


class Machine:
    """Carries out one pickle.

    Parameters
    ----------
    data : bytes
        The pickle. Strings of Python 2 are read as Latin-1, which keeps every byte.
    """

    def __init__(self, data: bytes):
        self._stream = io.BytesIO(data)
        self._size = len(data)
        self._stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}
        self._in_arrays = self._in_bytes = 0

    def run(self) -> Any:
        """What the pickle holds.

        Raises
        ------
        PickleRefusedError
            If it holds anything else than arrays, numbers, strings, lists, tuples and dictionaries, or breaks off.
        """
        try:
            while True:
                opcode, argument = self._next()
                if opcode == "STOP":
                    return _plain(self._pop())
                step = _STEPS.get(opcode)
                if step is None:
                    raise PickleRefusedError(f"the opcode {opcode}, which makes other objects than arrays")
                step(self, argument)
        except PickleRefusedError:
            raise
        except (ValueError, TypeError, LookupError, OverflowError, MemoryError) as error:
            # a program that was cut or tampered with; the message is that of whatever step noticed it
            raise PickleRefusedError(
                f"a damaged pickle at byte {self._stream.tell()} ({_first_line(error)})"
            ) from error

    def _next(self) -> tuple[str, Any]:
        code = self._stream.read(1)
        if not code:
            raise PickleRefusedError(f"its end after {self._size} bytes, in the middle of the pickle")
        opcode = _OPCODES.get(code)
        if opcode is None:
            raise PickleRefusedError(f"the byte {code!r} at {self._stream.tell() - 1}, which is no opcode")
        if opcode.name == "STRING":
            # pickletools admits ASCII alone here; Python 2 wrote the bytes of arrays as such a line
            return opcode.name, self._stream.readline().strip(b"\n")[1:-1].decode("unicode_escape")
        if opcode.arg is None:
            return opcode.name, None
        try:
            return opcode.name, opcode.arg.reader(self._stream)
        except ValueError as error:
            if self._stream.tell() >= self._size:
                raise PickleRefusedError(f"its end after {self._size} bytes, in the middle of a value") from error
            raise

    def _push(self, value: Any) -> None:
        self._stack.append(value)

    def _pop(self) -> Any:
        if len(self._stack) <= (self._marks[-1] if self._marks else 0):
            raise PickleRefusedError("a step that takes more values than there are")
        return self._stack.pop()

    def _pop_to_mark(self) -> list[Any]:
        start = self._marks.pop()
        values = self._stack[start:]
        del self._stack[start:]
        return values

    def _mark(self, _: Any) -> None:
        self._marks.append(len(self._stack))

    def _tuple(self, size: int) -> None:
        values = [self._pop() for _ in range(size)]
        self._push(tuple(reversed(values)))

    def _append(self, values: list[Any]) -> None:
        target = self._stack[-1]
        if type(target) is not list:
            raise PickleRefusedError("values added to what is no list")
        target.extend(_plain(value) for value in values)

    def _set_items(self, values: list[Any]) -> None:
        target = self._stack[-1]
        if type(target) is not dict or len(values) % 2:
            raise PickleRefusedError("keys added to what is no dictionary")
        for key, value in zip(values[::2], values[1::2], strict=True):
            if not isinstance(key, str | bytes | int | float | None):
                raise PickleRefusedError(f"a dictionary with a {type(key).__name__} as a key")
            target[key] = _plain(value)

    def _stack_global(self, _: Any) -> None:
        name, module = self._pop(), self._pop()
        self._global(f"{module} {name}")

    def _global(self, name: str) -> None:
        if name not in _NAMES:
            raise PickleRefusedError(f"the name '{name.replace(' ', '.', 1)}', which is no part of an array")
        self._push(_NAMES[name])

    def _reduce(self, _: Any) -> None:
        arguments, name = self._pop(), self._pop()
        if not isinstance(name, _Name) or not isinstance(arguments, tuple):
            raise PickleRefusedError("a call of what is no function")
        value = _call(name, arguments)
        self._count(value)
        self._push(value)

    def _build(self, _: Any) -> None:
        state, target = self._pop(), self._stack[-1]
        if isinstance(target, _Dtype):
            target.set_state(state)
        elif isinstance(target, np.ndarray):
            _fill(target, state)
            self._count(target)
        else:
            raise PickleRefusedError(f"a state for a {type(target).__name__}")

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


def _plain(value: Any) -> Any:
    """The value, unless it is one of the machine's own, which mean nothing outside an array."""
    if isinstance(value, _Name | _Dtype):
        raise PickleRefusedError("a part of an array outside an array")
    return value


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


_OPCODES = {opcode.code.encode("latin-1"): opcode for opcode in pickletools.opcodes}
# fmt: off
_VALUES = (
    "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT",
    "STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8",
    "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8",
)
# fmt: on

_STEPS: dict[str, Callable[[Machine, Any], None]] = {
    "PROTO": lambda machine, _: None,
    "FRAME": lambda machine, _: None,
    **dict.fromkeys(_VALUES, Machine._push),
    "NONE": lambda machine, _: machine._push(None),
    "NEWTRUE": lambda machine, _: machine._push(True),
    "NEWFALSE": lambda machine, _: machine._push(False),
    "MARK": Machine._mark,
    "EMPTY_LIST": lambda machine, _: machine._push([]),
    "EMPTY_TUPLE": lambda machine, _: machine._push(()),
    "EMPTY_DICT": lambda machine, _: machine._push({}),
    "LIST": lambda machine, _: machine._push([_plain(value) for value in machine._pop_to_mark()]),
    "TUPLE": lambda machine, _: machine._push(tuple(machine._pop_to_mark())),
    "TUPLE1": lambda machine, _: machine._tuple(1),
    "TUPLE2": lambda machine, _: machine._tuple(2),
    "TUPLE3": lambda machine, _: machine._tuple(3),
    "APPEND": lambda machine, _: machine._append([machine._pop()]),
    "APPENDS": lambda machine, _: machine._append(machine._pop_to_mark()),
    "SETITEM": lambda machine, _: machine._set_items([machine._pop(), machine._pop()][::-1]),
    "SETITEMS": lambda machine, _: machine._set_items(machine._pop_to_mark()),
}


def _dictionary(machine: Machine, _: Any) -> None:
    values = machine._pop_to_mark()
    machine._push({})
    machine._set_items(values)


def _put(machine: Machine, index: Any) -> None:
    machine._memo[index] = machine._stack[-1]


def _memoize(machine: Machine, _: Any) -> None:
    machine._memo[len(machine._memo)] = machine._stack[-1]


def _get(machine: Machine, index: Any) -> None:
    machine._push(machine._memo[index])


_STEPS |= {
    "DICT": _dictionary,
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT"), _put),
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), _get),
    "MEMOIZE": _memoize,
    "GLOBAL": Machine._global,
    "STACK_GLOBAL": Machine._stack_global,
    "REDUCE": Machine._reduce,
    "BUILD": Machine._build,
}
