"""MATLAB files of structs and cells as MATLAB's `save` writes them, an array in memory at a time.

"MAT-File Format", MathWorks, chapter 1. An element says how long it is before what it holds, so that shapes have to be
known before numbers are: an array that is large is given as its shape and a function that makes it.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

_CELL, _STRUCT, _CHAR, _DOUBLE = 1, 2, 4, 6
_INT8, _UINT16, _INT32, _UINT32, _FLOAT64, _MATRIX, _COMPRESSED = 1, 4, 5, 6, 9, 14, 15
_NAME_BYTES = 32


@dataclass(frozen=True)
class Later:
    """An array of float64 that is made when it is written."""

    shape: tuple[int, int]
    make: Callable[[], NDArray[np.float64]]


@dataclass(frozen=True)
class MatlabCell:
    """A cell, its contents column by column."""

    shape: tuple[int, int]
    contents: Sequence[Value]


Value = float | str | Later | MatlabCell | Mapping[str, "Value"] | NDArray[np.float64]


def write_nested(path: Path, name: str, value: Value) -> None:
    """Write one compressed variable."""
    header = b"MATLAB 5.0 MAT-file, Platform: PCWIN64, Created on: Thu Jan 01 12:00:00 2015"
    # the quickest level: noise hardly shrinks
    packer, size = zlib.compressobj(1), 0
    with path.open("wb") as file:
        file.write(header.ljust(124) + struct.pack("<H2s", 0x0100, b"IM"))
        place = file.tell()
        file.write(struct.pack("<II", _COMPRESSED, 0))
        for piece in _matrix(name, value):
            size += file.write(packer.compress(piece))
        size += file.write(packer.flush())
        file.seek(place)
        file.write(struct.pack("<II", _COMPRESSED, size))


def _matrix(name: str, value: Value) -> Iterator[bytes]:
    kind, shape = _kind(value)
    yield struct.pack("<II", _MATRIX, _size(name, value))
    yield _element(_UINT32, struct.pack("<II", kind, 0))
    yield _element(_INT32, struct.pack("<ii", *shape))
    yield _element(_INT8, name.encode("ascii"))
    if isinstance(value, Mapping):
        yield struct.pack("<HHi", _INT32, 4, _NAME_BYTES)
        yield _element(_INT8, b"".join(field.encode("ascii").ljust(_NAME_BYTES, b"\0") for field in value))
        for part in value.values():
            yield from _matrix("", part)
    elif isinstance(value, MatlabCell):
        for part in value.contents:
            yield from _matrix("", part)
    elif isinstance(value, str):
        yield _element(_UINT16, value.encode("utf-16-le"))
    else:
        numbers = value.make() if isinstance(value, Later) else np.array(value, np.float64).reshape(shape)
        assert numbers.shape == shape, (numbers.shape, shape)
        yield _element(_FLOAT64, numbers.tobytes(order="F"))


def _kind(value: Value) -> tuple[int, tuple[int, int]]:
    if isinstance(value, Mapping):
        return _STRUCT, (1, 1)
    if isinstance(value, MatlabCell):
        return _CELL, value.shape
    if isinstance(value, str):
        return _CHAR, (1, len(value))
    if isinstance(value, Later):
        return _DOUBLE, value.shape
    rows, columns = np.atleast_2d(value).shape
    return _DOUBLE, (rows, columns)


def _size(name: str, value: Value) -> int:
    """Bytes of a matrix without its own tag."""
    _, (rows, columns) = _kind(value)
    size = 16 + 16 + _padded(len(name))
    if isinstance(value, Mapping):
        return size + 8 + _padded(_NAME_BYTES * len(value)) + sum(8 + _size("", part) for part in value.values())
    if isinstance(value, MatlabCell):
        return size + sum(8 + _size("", part) for part in value.contents)
    return size + _padded((2 if isinstance(value, str) else 8) * rows * columns)


def _padded(count: int) -> int:
    return 8 + count + -count % 8


def _element(kind: int, content: bytes) -> bytes:
    return struct.pack("<II", kind, len(content)) + content + b"\0" * (-len(content) % 8)
