"""MATLAB files of version 5 to 7, element by element, each held against the bytes that are there.

"MAT-File Format", MathWorks, chapter 1. A file is a header of 128 bytes and a row of elements, each with a tag (type,
bytes). A variable is an element of type miMATRIX, made up of elements itself: flags, dimensions, name, numbers; or it
is such an element compressed by zlib.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from scmmlab.corpora.matlab import MatlabVariable
from scmmlab.errors import CorpusError

_HEADER_BYTES = 128
_MATRIX, _COMPRESSED = 14, 15
_COMPLEX = 0x0800
_CHUNK = 2**20
# fmt: off
_NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
"""The types of numbers, by what tags call them."""
_KINDS = {
    1: "cell", 2: "struct", 3: "object", 4: "char", 5: "sparse", 6: "double", 7: "single", 8: "int8", 9: "uint8",
    10: "int16", 11: "uint16", 12: "int32", 13: "uint32", 14: "int64", 15: "uint64", 16: "function", 17: "opaque",
}
# fmt: on
_DTYPES = {"double": "f8", "single": "f4"} | {
    f"{sign}int{bits}": f"{sign or 'i'}{bits // 8}" for sign in ("", "u") for bits in (8, 16, 32, 64)
}
_HINT = "copy or download the file again."


@dataclass(frozen=True)
class _Element:
    """Where a variable lies in the file, and its numbers in the (decompressed) variable."""

    variable: MatlabVariable
    offset: int
    size: int
    compressed: bool
    complex: bool
    stored: str
    skip: int
    """Bytes of the variable before its numbers."""
    count: int
    """Bytes of its numbers."""


class MatlabFile5:
    """See `open_matlab`."""

    version: str = "5"

    def __init__(self, path: Path):
        self.path = path
        try:
            self._elements = self._index()
        except OSError as error:
            raise CorpusError(f"'{path}' cannot be read: expected a MATLAB file, found {error.strerror}.") from error
        self.variables: Mapping[str, MatlabVariable] = {
            name: element.variable for name, element in self._elements.items()
        }

    def read(self, name: str) -> NDArray[Any]:
        """One real, numeric variable."""
        element = self._elements[name]
        variable = element.variable
        if variable.kind not in _DTYPES or element.complex:
            kind = f"complex {variable.kind}" if element.complex else variable.kind
            raise self._wrong(f"the variable '{name}'", "real numbers", kind)
        try:
            with self.path.open("rb") as file:
                file.seek(element.offset)
                take = _decompressed(file, element.size) if element.compressed else file.read
                take(element.skip)
                data = take(element.count)
                if element.compressed:
                    # the rest is padding and zlib's checksum, which only speaks once all has been asked for
                    rest = take(_CHUNK)
                    if len(rest) >= 8:
                        raise self._wrong(f"the size of '{name}'", f"{element.count} bytes", "more of them")
        except zlib.error as error:
            raise self._wrong(f"the variable '{name}'", "compressed numbers", f"damaged ones ({error})") from error
        except OSError as error:
            raise self._wrong(f"the variable '{name}'", "numbers", error.strerror) from error
        if len(data) != element.count:
            raise self._wrong(f"the variable '{name}'", f"{element.count} bytes", f"{len(data)}")
        stored = np.frombuffer(data, element.stored)
        return stored.astype(_DTYPES[variable.kind], copy=False).reshape(variable.shape, order="F")

    def _index(self) -> dict[str, _Element]:
        size = self.path.stat().st_size
        elements: dict[str, _Element] = {}
        with self.path.open("rb") as file:
            header = file.read(_HEADER_BYTES)
            if len(header) < _HEADER_BYTES:
                raise self._wrong("the header", f"{_HEADER_BYTES} bytes", str(len(header)))
            order = {b"IM": "<", b"MI": ">"}.get(header[126:128])
            if order is None:
                raise self._wrong("the mark of the byte order", "'IM' or 'MI'", repr(header[126:128])[1:])
            offset = _HEADER_BYTES
            while offset < size:
                file.seek(offset)
                tag = file.read(8)
                if len(tag) < 8:
                    raise self._wrong("the tag of a variable", "8 bytes", str(len(tag)))
                kind, count = (int(word) for word in np.frombuffer(tag, f"{order}u4"))
                if kind not in (_MATRIX, _COMPRESSED):
                    found = "zeros" if not any(tag) else f"type {kind}"
                    raise self._wrong(f"what is at byte {offset}", "a variable", found)
                if offset + 8 + count > size:
                    raise self._wrong(
                        "the size", f"at least {offset + 8 + count} bytes, as a header in it says", f"{size} bytes"
                    )
                element = self._element(file, offset + 8, count, kind == _COMPRESSED, order)
                name = element.variable.name
                if name in elements:
                    raise self._wrong(f"the number of variables '{name}'", "1", "2")
                elements[name] = element
                offset += 8 + count
        return elements

    def _element(self, file: BinaryIO, offset: int, size: int, compressed: bool, order: str) -> _Element:
        try:
            take = _decompressed(file, size) if compressed else _bounded(file, size)
            if compressed:
                kind, size_inside = self._words(take(8), order)
                if kind != _MATRIX:
                    raise self._wrong(f"what is compressed at byte {offset}", "a variable", f"type {kind}")
            else:
                size_inside = size
            position = 0
            parts = []
            for what in ("flags", "dimensions", "name"):
                # each is a few words; none is longer than the numbers of the largest dimension that NumPy takes
                _, content, length = self._part(take, order, limit=512, what=what)
                position += length
                parts.append(content)
            if len(parts[0]) < 8 or len(parts[1]) < 8 or len(parts[1]) % 4:
                raise self._wrong(f"the variable at byte {offset}", "flags and two or more dimensions", "others")
            flags = int(np.frombuffer(parts[0][:4], f"{order}u4")[0])
            shape = tuple(int(number) for number in np.frombuffer(parts[1], f"{order}i4"))
            variable = MatlabVariable(parts[2].decode("latin-1"), shape, _KINDS.get(flags & 0xFF, "unknown"))
            if any(number < 0 for number in shape):
                raise self._wrong(f"the dimensions of '{variable.name}'", "none below 0", str(shape))
            stored, tag_bytes, count = "", 0, 0
            if variable.kind in _DTYPES:
                stored, tag_bytes, count = self._numbers(take, order, variable)
                needed = math.prod(shape) * np.dtype(stored).itemsize
                if count != needed:
                    raise self._wrong(
                        f"the header of '{variable.name}'", f"{needed} bytes for {shape} of {stored}", f"{count}"
                    )
                if position + tag_bytes + count > size_inside:
                    raise self._wrong(
                        f"the header of '{variable.name}'", f"{count} bytes of numbers",
                        f"room for {max(0, size_inside - position - tag_bytes)}",
                    )  # fmt: skip
        except zlib.error as error:
            raise self._wrong(f"what is at byte {offset}", "a compressed variable", f"damage ({error})") from error
        skip = position + tag_bytes + (8 if compressed else 0)
        return _Element(variable, offset, size, compressed, bool(flags & _COMPLEX), stored, skip, count)

    def _numbers(self, take: Callable[[int], bytes], order: str, variable: MatlabVariable) -> tuple[str, int, int]:
        """Type, bytes of the tag, and bytes of the numbers."""
        tag = take(8)
        kind, count = self._words(tag, order)
        tag_bytes = 8
        if kind >> 16:
            # the small form: type and bytes in a word, and up to four bytes in the other
            kind, count, tag_bytes = kind & 0xFFFF, kind >> 16, 4
        if kind not in _NUMBERS:
            raise self._wrong(f"the numbers of '{variable.name}'", "a type of numbers", f"type {kind}")
        return order + _NUMBERS[kind], tag_bytes, count

    def _part(self, take: Callable[[int], bytes], order: str, limit: int, what: str) -> tuple[int, bytes, int]:
        """Type, content, and length in all of one of a variable's elements."""
        tag = take(8)
        kind, count = self._words(tag, order)
        if kind >> 16:
            count = kind >> 16
            if count > 4:
                raise self._wrong(f"the {what} of a variable", "4 bytes at most", str(count))
            return kind & 0xFFFF, tag[4 : 4 + count], 8
        if count > limit:
            raise self._wrong(f"the {what} of a variable", f"{limit} bytes at most", str(count))
        content = take(count + -count % 8)
        return kind, content[:count], 8 + count + -count % 8

    def _words(self, tag: bytes, order: str) -> tuple[int, int]:
        if len(tag) < 8:
            raise self._wrong("a tag", "8 bytes", str(len(tag)))
        first, second = np.frombuffer(tag, f"{order}u4")
        return int(first), int(second)

    def _wrong(self, what: str, expected: str, found: str | None) -> CorpusError:
        return CorpusError(f"'{self.path}' is damaged in {what}: expected {expected}, found {found}.", _HINT)


def _bounded(file: BinaryIO, size: int) -> Callable[[int], bytes]:
    """Reads from where the file is, and `size` bytes at most."""
    left = size

    def take(count: int) -> bytes:
        nonlocal left
        data = file.read(min(count, left))
        left -= len(data)
        return data

    return take


def _decompressed(file: BinaryIO, size: int) -> Callable[[int], bytes]:
    """Reads what is compressed in the next `size` bytes, never more than it is asked for."""
    stream = zlib.decompressobj()
    left = size

    def pieces(count: int) -> Iterator[bytes]:
        nonlocal left
        while count > 0 and not stream.eof:
            data = stream.unconsumed_tail
            if not data and left:
                data = file.read(min(_CHUNK, left))
                left -= len(data)
            piece = stream.decompress(data, min(count, 16 * _CHUNK))
            if not piece and not stream.unconsumed_tail and not left:
                if not stream.eof:
                    raise zlib.error("it breaks off")
                return
            count -= len(piece)
            yield piece

    return lambda count: b"".join(pieces(count))
