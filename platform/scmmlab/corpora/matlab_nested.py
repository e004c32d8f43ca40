"""Structs and cells of MATLAB files of version 5 to 7, as they go by.

A variable is read from its beginning to its end, once. What a struct or a cell holds is given one by one, each with its
kind and shape, to be read or passed over, so that no more than what is being read is in memory. Nothing is followed,
called or made from names in the file, and nothing is nested deeper than whoever reads it goes.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scmmlab.corpora.matlab_v5_stream import (
    CHUNK,
    COMPLEX,
    DTYPES,
    KINDS,
    MATRIX,
    NUMBERS,
    Take,
    content_of,
    damage,
    elements,
)
from scmmlab.errors import CorpusError

_LONGEST_HEADER = 2**16
"""Bytes that names and dimensions may take; MATLAB's longest name has 63."""
_LONGEST_TEXT = 2**20
_ENCODINGS = {1: "latin-1", 2: "latin-1", 4: "utf-16", 16: "utf-8", 17: "utf-16", 18: "utf-32"}
"""How text is stored, by the type of its element."""


@contextmanager
def open_nested(path: Path, name: str) -> Iterator[Nested]:
    """A variable of a file, to be read in its order.

    Parameters
    ----------
    path : Path
        A MATLAB file of version 5 to 7. One of version 7.3 is refused.
    name : str
        The variable.

    Raises
    ------
    CorpusError
        If the file or the variable is not there, damaged, or what it holds is longer than itself; on opening, or as it
        is read.
    """
    try:
        with path.open("rb") as file:
            start = file.read(10)
            if start[:10] == b"MATLAB 7.3" or start[:4] == b"\x89HDF":
                raise CorpusError(
                    f"'{path}' is of another version: expected MATLAB 5 to 7, found 7.3.",
                    "load it in MATLAB and save it with -v7.",
                )
            if not start.startswith(b"MATLAB"):
                raise CorpusError(
                    f"'{path}' is no MATLAB file: expected one that starts with 'MATLAB 5.0', found "
                    f"{repr(start)[1:] if start else 'no byte at all'}.",
                    "copy or download the file again.",
                )
            file.seek(0)
            there = []
            for element in elements(path, file):
                stream = _Stream(path, content_of(file, element), element.order)
                size = stream.matrix_tag() if element.compressed else element.size
                variable = Nested(stream, "", size)
                if variable.name == name:
                    yield variable
                    variable.finish()
                    return
                there.append(variable.name)
            raise CorpusError(f"'{path}' has no variable '{name}': expected it, found {', '.join(there) or 'none'}.")
    except OSError as error:
        raise CorpusError(f"'{path}' cannot be read: expected a MATLAB file, found {error.strerror}.") from error
    except zlib.error as error:
        raise damage(path, f"the variable '{name}'", "compressed numbers", f"damaged ones ({error})") from error


class _Stream:
    """Bytes that are read forwards, and where in them one is."""

    def __init__(self, path: Path, take: Take, order: str):
        self.path, self.order, self._take, self.position = path, order, take, 0

    def take(self, count: int, what: str) -> bytes:
        data = self._take(count)
        self.position += len(data)
        if len(data) < count:
            raise damage(self.path, what, f"{count} bytes", str(len(data)))
        return data

    def rest(self) -> int:
        """Bytes that follow, as far as a chunk goes."""
        return len(self._take(CHUNK))

    def words(self, what: str) -> tuple[int, int]:
        first, second = np.frombuffer(self.take(8, what), f"{self.order}u4")
        return int(first), int(second)

    def matrix_tag(self) -> int:
        kind, size = self.words("the tag of a variable")
        if kind != MATRIX:
            raise damage(self.path, f"what is at byte {self.position} of a variable", "a variable", f"type {kind}")
        return size


class Nested:
    """A matrix of numbers, a text, a struct or a cell, which the stream has come to.

    Parameters
    ----------
    stream : _Stream
        At the beginning of its content.
    where : str
        What leads to it, as MATLAB writes it; empty for a variable, which has a name of its own.
    size : int
        Bytes of its content.
    """

    def __init__(self, stream: _Stream, where: str, size: int):
        self._stream, self._end = stream, stream.position + size
        self.path, self.where, self.name = stream.path, where or "a variable", ""
        self.kind = "empty"
        self.shape: tuple[int, ...] = (0, 0)
        if not size:
            # how a cell or a field stands that nothing was put into
            return
        flags = self._part("flags")[1]
        dimensions = self._part("dimensions")[1]
        if len(flags) < 8 or len(dimensions) < 8 or len(dimensions) % 4:
            raise self._wrong("the header", "flags and two or more dimensions", "others")
        self.name = self._part("name")[1].decode("latin-1")
        self.where = where or self.name
        self._flags = int(np.frombuffer(flags[:4], f"{stream.order}u4")[0])
        self.kind = KINDS.get(self._flags & 0xFF, "unknown")
        self.shape = tuple(int(number) for number in np.frombuffer(dimensions, f"{stream.order}i4"))
        if any(number < 0 for number in self.shape):
            raise self._wrong("the dimensions", "none below 0", str(self.shape))

    def fields(self) -> Iterator[tuple[str, Nested]]:
        """Names and contents of a struct of 1 x 1, in the order of the file; each is passed over when the next is due.

        Raises
        ------
        CorpusError
            If it is no such struct.
        """
        if self.kind != "struct" or math.prod(self.shape) != 1:
            raise self._wrong("its kind", "a struct of 1 x 1", f"{self.kind} of {self.shape}")
        length = self._part("length of names")[1]
        names = self._part("names")[1]
        width = int(np.frombuffer(length, f"{self._stream.order}i4")[0]) if len(length) == 4 else 0
        if width < 1 or len(names) % width:
            raise self._wrong("the names of its fields", "some of one length", f"{len(names)} bytes of {width}")
        for start in range(0, len(names), width):
            name = names[start : start + width].split(b"\0")[0].decode("latin-1")
            child = self._next(f"{self.where}.{name}")
            yield name, child
            child.pass_over()

    def cells(self) -> Iterator[Nested]:
        """Contents of a cell, column by column; each is passed over when the next is due.

        Raises
        ------
        CorpusError
            If it is no cell.
        """
        if self.kind != "cell":
            raise self._wrong("its kind", "a cell", f"{self.kind} of {self.shape}")
        for number in range(1, math.prod(self.shape) + 1):
            child = self._next(f"{self.where}{{{number}}}")
            yield child
            child.pass_over()

    def numbers(self) -> NDArray[Any]:
        """Real numbers, in MATLAB's orientation. Whoever asks for them should have looked at `shape` before.

        Raises
        ------
        CorpusError
            If it is of another kind, or its numbers are not as many as its dimensions say.
        """
        if self.kind not in DTYPES or self._flags & COMPLEX:
            kind = f"complex {self.kind}" if self.kind in DTYPES else self.kind
            raise self._wrong("its kind", "real numbers", f"{kind} of {self.shape}")
        # a number is stored in the smallest type that holds all of them, and takes 8 bytes at most
        stored, data = self._part("numbers", limit=8 * math.prod(self.shape))
        if stored not in NUMBERS:
            raise self._wrong("its numbers", "a type of numbers", f"type {stored}")
        needed = math.prod(self.shape) * np.dtype(NUMBERS[stored]).itemsize
        if len(data) != needed:
            raise self._wrong("its header", f"{needed} bytes for {self.shape}", str(len(data)))
        values = np.frombuffer(data, self._stream.order + NUMBERS[stored])
        return values.astype(DTYPES[self.kind], copy=False).reshape(self.shape, order="F")

    def text(self) -> str:
        """A row of characters.

        Raises
        ------
        CorpusError
            If it is of another kind.
        """
        if self.kind != "char":
            raise self._wrong("its kind", "text", f"{self.kind} of {self.shape}")
        stored, data = self._part("text", limit=_LONGEST_TEXT)
        encoding = _ENCODINGS.get(stored)
        if encoding is None:
            raise self._wrong("its text", "a type of text", f"type {stored}")
        if encoding in ("utf-16", "utf-32"):
            encoding += "-le" if self._stream.order == "<" else "-be"
        return data.decode(encoding, errors="replace")

    def pass_over(self) -> None:
        """Go to its end, a piece at a time."""
        while self._stream.position < self._end:
            self._stream.take(min(CHUNK, self._end - self._stream.position), self.where)

    def finish(self) -> None:
        """Where all of a variable has been read: nothing may follow, and zlib's checksum, which comes last, must fit.

        Raises
        ------
        CorpusError
            If more follows than padding.
        """
        if self._stream.position == self._end:
            rest = self._stream.rest()
            if rest >= 8:
                raise self._wrong("the size", f"{self._end} bytes", "more of them")

    def _next(self, where: str) -> Nested:
        if self._stream.position + 8 > self._end:
            raise self._wrong("its content", f"'{where}'", "its end")
        size = self._stream.matrix_tag()
        if self._stream.position + size > self._end:
            raise self._wrong(f"the size of '{where}'", f"{self._end - self._stream.position} bytes at most", str(size))
        return Nested(self._stream, where, size)

    def _part(self, what: str, limit: int = _LONGEST_HEADER) -> tuple[int, bytes]:
        """Type and content of one of its own elements."""
        if self._stream.position + 8 > self._end:
            raise self._wrong(f"the {what}", "8 bytes or more", str(self._end - self._stream.position))
        tag = self._stream.take(8, f"the {what} of {self.where}")
        kind, count = (int(word) for word in np.frombuffer(tag, f"{self._stream.order}u4"))
        if kind >> 16:
            # the small form: type and bytes in a word, and up to four bytes in the other
            kind, count = kind & 0xFFFF, kind >> 16
            if count > 4:
                raise self._wrong(f"the {what}", "4 bytes at most", str(count))
            return kind, tag[4 : 4 + count]
        padded = count + -count % 8
        room = self._end - self._stream.position
        if count > min(limit, room):
            raise self._wrong(f"the {what}", f"{min(limit, room)} bytes at most", str(count))
        # the last element of a variable may stand without its padding
        return kind, self._stream.take(min(padded, room), f"the {what} of {self.where}")[:count]

    def _wrong(self, what: str, expected: str, found: str) -> CorpusError:
        return damage(self.path, f"{what} of {self.where}", expected, found)
