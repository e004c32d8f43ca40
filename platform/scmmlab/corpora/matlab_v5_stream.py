"""The bytes of MATLAB files of version 5 to 7, element by element, never more than are there.

"MAT-File Format", MathWorks, chapter 1. A file is a header of 128 bytes and a row of elements, each with a tag (type,
bytes). A variable is an element of type miMATRIX, made up of elements itself: flags, dimensions, name, and what it
holds; or it is such an element compressed by zlib.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from scmmlab.errors import CorpusError

MATRIX, COMPRESSED = 14, 15
"""The types of elements that stand in the file itself."""
COMPLEX = 0x0800
"""The flag of a variable with imaginary parts."""
CHUNK = 2**20
# fmt: off
NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
"""The types of numbers, by what tags call them."""
KINDS = {
    1: "cell", 2: "struct", 3: "object", 4: "char", 5: "sparse", 6: "double", 7: "single", 8: "int8", 9: "uint8",
    10: "int16", 11: "uint16", 12: "int32", 13: "uint32", 14: "int64", 15: "uint64", 16: "function", 17: "opaque",
}
# fmt: on
DTYPES = {"double": "f8", "single": "f4"} | {
    f"{sign}int{bits}": f"{sign or 'i'}{bits // 8}" for sign in ("", "u") for bits in (8, 16, 32, 64)
}

Take = Callable[[int], bytes]
"""Gives so many of the next bytes, or fewer where there are no more."""
_HEADER_BYTES = 128


@dataclass(frozen=True)
class Element:
    """An element of the file: where its content begins, how long it is there, and the file's byte order."""

    offset: int
    size: int
    compressed: bool
    order: str


def damage(path: Path, what: str, expected: str, found: str | None) -> CorpusError:
    """The error that says what is wrong with a file."""
    return CorpusError(
        f"'{path}' is damaged in {what}: expected {expected}, found {found}.", "copy or download the file again."
    )


@contextmanager
def reading(path: Path, what: str) -> Iterator[BinaryIO]:
    """A file of which `what` is read, so that whatever cannot be read of it ends in a `CorpusError`."""
    try:
        with path.open("rb") as file:
            yield file
    except OSError as error:
        raise CorpusError(f"'{path}' cannot be read: expected a MATLAB file, found {error.strerror}.") from error
    except zlib.error as error:
        raise damage(path, what, "compressed numbers", f"damaged ones ({error})") from error


def elements(path: Path, file: BinaryIO) -> Iterator[Element]:
    """The elements of an open file, held against its size.

    Raises
    ------
    CorpusError
        If the header is none, or an element is no variable or longer than the file.
    """
    size = path.stat().st_size
    header = file.read(_HEADER_BYTES)
    if len(header) < _HEADER_BYTES:
        raise damage(path, "the header", f"{_HEADER_BYTES} bytes", str(len(header)))
    order = {b"IM": "<", b"MI": ">"}.get(header[126:128])
    if order is None:
        raise damage(path, "the mark of the byte order", "'IM' or 'MI'", repr(header[126:128])[1:])
    offset = _HEADER_BYTES
    while offset < size:
        file.seek(offset)
        tag = file.read(8)
        if len(tag) < 8:
            raise damage(path, "the tag of a variable", "8 bytes", str(len(tag)))
        kind, count = (int(word) for word in np.frombuffer(tag, f"{order}u4"))
        if kind not in (MATRIX, COMPRESSED):
            found = "zeros" if not any(tag) else f"type {kind}"
            raise damage(path, f"what is at byte {offset}", "a variable", found)
        if offset + 8 + count > size:
            raise damage(
                path, "the size", f"at least {offset + 8 + count} bytes, as a header in it says", f"{size} bytes"
            )
        yield Element(offset + 8, count, kind == COMPRESSED, order)
        offset += 8 + count


def content_of(file: BinaryIO, element: Element) -> Take:
    """The bytes of an element from its beginning, decompressed where they are compressed.

    What is given raises `zlib.error` where compressed bytes are damaged or break off.
    """
    file.seek(element.offset)
    return _decompressed(file, element.size) if element.compressed else _bounded(file, element.size)


def _bounded(file: BinaryIO, size: int) -> Take:
    """Reads from where the file is, and `size` bytes at most."""
    left = size

    def take(count: int) -> bytes:
        nonlocal left
        data = file.read(min(count, left))
        left -= len(data)
        return data

    return take


def _decompressed(file: BinaryIO, size: int) -> Take:
    """Reads what is compressed in the next `size` bytes, never more than it is asked for."""
    stream = zlib.decompressobj()
    left = size

    def pieces(count: int) -> Iterator[bytes]:
        nonlocal left
        while count > 0 and not stream.eof:
            data = stream.unconsumed_tail
            if not data and left:
                data = file.read(min(CHUNK, left))
                left -= len(data)
            piece = stream.decompress(data, min(count, 16 * CHUNK))
            if not piece and not stream.unconsumed_tail and not left:
                if not stream.eof:
                    raise zlib.error("it breaks off")
                return
            count -= len(piece)
            yield piece

    return lambda count: b"".join(pieces(count))
