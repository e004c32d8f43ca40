"""MATLAB files with structs and cells, held to their form element by element before SciPy reads them.

A struct whose fields are said to have names of no length, for one, ends SciPy's process. "MAT-File Format", MathWorks,
chapter 1.
"""

from __future__ import annotations

import mmap
import struct
import zlib
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Literal

from scmmlab.errors import CorpusError

_HEADER_BYTES = 128
_ITEM_BYTES = {1: 1, 2: 1, 3: 2, 4: 2, 5: 4, 6: 4, 7: 4, 9: 8, 12: 8, 13: 8, 16: 1, 17: 2, 18: 4}
"""Bytes of a number or letter, by the type of an element."""
_MATRIX, _COMPRESSED = 14, 15
_INT8, _INT32, _UINT32 = 1, 5, 6
_CELL, _STRUCT, _OBJECT, _CHAR, _SPARSE, _FUNCTION, _OPAQUE = 1, 2, 3, 4, 5, 16, 17
_NUMERIC = range(6, 16)
_COMPLEX = 0x0800
_DEEPEST = 40
_LARGEST = 2**31
"""No variable of such a file has more bytes."""


def check_structs(path: Path) -> None:
    """Raise a `CorpusError` unless each element of a MATLAB file of version 5 to 7, nested or not, has its form."""
    with path.open("rb") as opened:
        # closed by itself when the last view of it is gone, which an error may hold for longer than this function
        content = memoryview(mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ))
    mark = bytes(content[_HEADER_BYTES - 2 : _HEADER_BYTES])
    if mark not in (b"IM", b"MI"):
        raise _wrong(path, _HEADER_BYTES - 2, "the mark IM or MI", repr(mark)[1:])
    order: Literal["<", ">"] = "<" if mark == b"IM" else ">"
    _Walk(path, order, _HEADER_BYTES).elements(content[_HEADER_BYTES:])


@dataclass(frozen=True)
class _Part:
    """An element: its type, and where its data start and stop, and where the next element starts."""

    kind: int
    start: int
    stop: int
    following: int


@dataclass(frozen=True)
class _Walk:
    """A walk through the elements of a stretch of bytes, which lies at `at` in the file or in what was compressed."""

    path: Path
    order: Literal["<", ">"]
    at: int

    def elements(self, content: memoryview) -> None:
        """All variables of a file."""
        position = 0
        while position < len(content):
            part = self._part(content, position, padded=False)
            if part.kind == _COMPRESSED:
                inside = memoryview(self._decompressed(content[part.start : part.stop]))
                walk = _Walk(self.path, self.order, self.at + part.start)
                walk.matrix(inside, walk._expect(inside, 0, _MATRIX), 0)
            elif part.kind == _MATRIX:
                self.matrix(content, part, 0)
            position = part.following

    def matrix(self, content: memoryview, part: _Part, depth: int) -> None:
        """One array, and the arrays in it."""
        inside = content[part.start : part.stop]
        walk = _Walk(self.path, self.order, self.at + part.start)
        if not len(inside):
            return
        if depth > _DEEPEST:
            raise walk._wrong(0, f"arrays in arrays {_DEEPEST} deep at most", "more")
        flags = walk._expect(inside, 0, _UINT32, length=8)
        (bits,) = struct.unpack_from(f"{self.order}I", inside, flags.start)
        kind, is_complex = bits & 0xFF, bool(bits & _COMPLEX)
        if kind == _OPAQUE:
            position = flags.following
            for _ in range(3):
                position = walk._expect(inside, position, _INT8).following
            walk._arrays(inside, position, 1, depth)
            return
        sizes = walk._expect(inside, flags.following, _INT32)
        shape = struct.unpack_from(f"{self.order}{(sizes.stop - sizes.start) // 4}i", inside, sizes.start)
        if len(shape) < 2 or min(shape) < 0 or prod(shape) > _LARGEST:
            raise walk._wrong(sizes.start, "two dimensions or more, none negative", str(shape))
        position = walk._expect(inside, sizes.following, _INT8).following
        count = prod(shape)
        if kind in (_STRUCT, _OBJECT):
            position = walk._expect(inside, position, _INT8).following if kind == _OBJECT else position
            fields, position = walk._fields(inside, position)
            walk._arrays(inside, position, count * fields, depth)
        elif kind in (_CELL, _FUNCTION):
            walk._arrays(inside, position, 1 if kind == _FUNCTION else count, depth)
        elif kind in (*_NUMERIC, _CHAR):
            for _ in range(1 + is_complex):
                numbers = walk._part(inside, position)
                held = (numbers.stop - numbers.start) / _ITEM_BYTES.get(numbers.kind, 1)
                if numbers.kind not in _ITEM_BYTES or (kind != _CHAR and held != count):
                    raise walk._wrong(position, f"{count} numbers", f"{held:g} of type {numbers.kind}")
                position = numbers.following
        elif kind == _SPARSE:
            raise walk._wrong(0, "a full array", "a sparse one")
        else:
            raise walk._wrong(0, "a class of MATLAB", f"number {kind}")

    def _fields(self, content: memoryview, position: int) -> tuple[int, int]:
        """How many fields a struct has, and where their values start."""
        length = self._expect(content, position, _INT32, length=4)
        (letters,) = struct.unpack_from(f"{self.order}i", content, length.start)
        names = self._expect(content, length.following, _INT8)
        if letters < 1 or (names.stop - names.start) % letters:
            raise self._wrong(
                length.start, "names of fields of equal length", f"{names.stop - names.start} letters in {letters}s"
            )
        return (names.stop - names.start) // letters, names.following

    def _arrays(self, content: memoryview, position: int, count: int, depth: int) -> None:
        if count * 8 > len(content) - position:
            raise self._wrong(position, f"{count} arrays", f"{len(content) - position} bytes")
        for _ in range(count):
            part = self._expect(content, position, _MATRIX)
            self.matrix(content, part, depth + 1)
            position = part.following

    def _expect(self, content: memoryview, position: int, kind: int, length: int | None = None) -> _Part:
        """An element of a type, and of so many bytes where that is said."""
        part = self._part(content, position)
        if part.kind != kind or (length is not None and part.stop - part.start != length):
            expected = f"an element of type {kind}" + (f" and {length} bytes" if length else "")
            raise self._wrong(position, expected, f"type {part.kind}, {part.stop - part.start} bytes")
        return part

    def _part(self, content: memoryview, position: int, padded: bool = True) -> _Part:
        if position + 8 > len(content):
            raise self._wrong(position, "an element", f"{max(0, len(content) - position)} bytes")
        kind, size = struct.unpack_from(f"{self.order}II", content, position)
        if kind >> 16:
            # up to four bytes lie in the tag itself
            kind, size, start, following = kind & 0xFFFF, kind >> 16, position + 4, position + 8
            if size > 4:
                raise self._wrong(position, "a small element of at most 4 bytes", str(size))
        else:
            start = position + 8
            padding = -size % 8 if padded and kind != _COMPRESSED else 0
            following = start + size + padding
        if start + size > len(content):
            raise self._wrong(position, f"{size} bytes of data", f"{len(content) - start}")
        return _Part(kind, start, start + size, min(following, len(content)))

    def _decompressed(self, content: memoryview) -> bytes:
        unpacking = zlib.decompressobj()
        try:
            inside = unpacking.decompress(content, _LARGEST)
        except zlib.error as error:
            raise self._wrong(0, "compressed data", str(error)) from error
        if not unpacking.eof:
            raise self._wrong(0, f"compressed data of {_LARGEST} bytes at most", "more, or no end")
        return inside

    def _wrong(self, position: int, expected: str, found: str) -> CorpusError:
        return _wrong(self.path, self.at + position, expected, found)


def _wrong(path: Path, position: int, expected: str, found: str) -> CorpusError:
    return CorpusError(
        f"'{path}' is damaged near byte {position}: expected {expected}, found {found}.", "copy the file again."
    )
