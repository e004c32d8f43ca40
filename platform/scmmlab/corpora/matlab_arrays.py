"""Structs and cells of MATLAB files of version 5 to 7, as they go by.

A variable is read from its beginning to its end, once. What a struct or a cell holds is given one by one, each with its
kind and shape, to be read or passed over, so that no more than what is being read is in memory. Nothing is followed,
called or made from names in the file, and nothing is nested deeper than whoever reads it goes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from scmmlab.corpora.matlab_v5_stream import (
    CHUNK,
    COMPLEX,
    DTYPES,
    KINDS,
    MATRIX,
    NUMBERS,
    Element,
    Take,
    content_of,
    damage,
)
from scmmlab.errors import CorpusError

_LONGEST_HEADER = 2**16
"""Bytes that names and dimensions may take; MATLAB's longest name has 63."""
_LONGEST_TEXT = 2**20
_INTEGERS, _TEXTS = (5, 6), (1, 16)
"""Types of whole numbers of 32 bits, and of names; MATLAB writes the first of each, other programs both."""
_ENCODINGS = {1: "latin-1", 2: "latin-1", 4: "utf-16", 16: "utf-8", 17: "utf-16", 18: "utf-32"}
"""How text is stored, by the type of its element."""


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


class MatlabArray:
    """An array of numbers, a text, a struct or a cell, which the stream has come to.

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
        self.is_complex = False
        self._small: bytes | None = None
        if not size:
            # how a cell or a field stands that nothing was put into
            return
        flags = self._integers("flags")
        if len(flags) != 2:
            raise self.wrong("the flags", "8 bytes", str(4 * len(flags)))
        self.kind, complex_flag = KINDS.get(flags[0] & 0xFF, "unknown"), bool(flags[0] & COMPLEX)
        if self.kind != "opaque":
            self.shape = self._integers("dimensions")
            if len(self.shape) < 2 or min(self.shape) < 0:
                raise self.wrong("the dimensions", "two or more, none negative", str(self.shape))
        self.name = self._name("name")
        self.where = where or self.name
        self.is_complex = complex_flag and self.kind in DTYPES

    @classmethod
    def at(cls, path: Path, file: BinaryIO, element: Element) -> MatlabArray:
        """The variable that is an element of an open file."""
        stream = _Stream(path, content_of(file, element), element.order)
        return cls(stream, "", stream.matrix_tag() if element.compressed else element.size)

    def fields(self) -> Iterator[tuple[str, MatlabArray]]:
        """Names and contents of a struct of 1 x 1, in the order of the file; each is passed over when the next is due.

        Raises
        ------
        CorpusError
            If it is no such struct.
        """
        if self.kind != "struct" or math.prod(self.shape) != 1:
            raise self._other_kind("a struct of 1 x 1")
        names = self._field_names()
        yield from zip(names, self._arrays(f".{name}" for name in names), strict=True)

    def cells(self) -> Iterator[MatlabArray]:
        """Contents of a cell, column by column; each is passed over when the next is due.

        Raises
        ------
        CorpusError
            If it is no cell.
        """
        if self.kind != "cell":
            raise self._other_kind("a cell")
        yield from self._arrays(f"{{{number}}}" for number in range(1, math.prod(self.shape) + 1))

    def arrays(self) -> Iterator[MatlabArray]:
        """All that it is made of, whatever it is, but numbers and text; each is passed over when the next is due.

        Raises
        ------
        CorpusError
            If what it is has no such parts.
        """
        count = math.prod(self.shape)
        for what in {"object": ("class",), "opaque": ("type", "class")}.get(self.kind, ()):
            self._name(what)
        if self.kind in ("struct", "object"):
            names = self._field_names()
            width = len(names)
            yield from self._arrays(f"({at // width + 1}).{names[at % width]}" for at in range(count * width))
        elif self.kind == "cell":
            yield from self.cells()
        elif self.kind in ("function", "opaque"):
            yield from self._arrays(("{1}",))
        elif self.kind != "empty":
            raise self._other_kind("numbers, text, a struct or a cell")

    def expect_numbers(self) -> tuple[str, int]:
        """How its numbers, which follow, are stored, and their bytes, held against its dimensions; none is read.

        Raises
        ------
        CorpusError
            If it is of another kind, or its numbers are not as many as its dimensions say.
        """
        if self.kind not in DTYPES:
            raise self._other_kind("real numbers")
        stored, size = self._tag("numbers")
        if stored not in NUMBERS:
            raise self.wrong("the numbers", "a type of numbers", f"type {stored}")
        dtype = self._stream.order + NUMBERS[stored]
        needed = math.prod(self.shape) * np.dtype(dtype).itemsize
        if size != needed:
            raise self.wrong("the header", f"{needed} bytes for {self.shape}", str(size))
        return dtype, size

    def numbers(self) -> NDArray[Any]:
        """Real numbers, in MATLAB's orientation. Whoever asks for them should have looked at `shape` before.

        Raises
        ------
        CorpusError
            If it is of another kind, or its numbers are not as many as its dimensions say.
        """
        if self.is_complex:
            raise self._other_kind("real numbers")
        dtype, size = self.expect_numbers()
        values = np.frombuffer(self._take("numbers", size), dtype)
        if self._room >= 8:
            raise self.wrong("the size", "its numbers alone", f"{self._room} bytes more")
        return values.astype(DTYPES[self.kind], copy=False).reshape(self.shape, order="F")

    def text(self) -> str:
        """A row of characters.

        Raises
        ------
        CorpusError
            If it is of another kind.
        """
        if self.kind != "char":
            raise self._other_kind("text")
        encoding, size = self.expect_text()
        if size > _LONGEST_TEXT:
            raise self.wrong("the text", f"{_LONGEST_TEXT} bytes at most", str(size))
        if encoding in ("utf-16", "utf-32"):
            encoding += "-le" if self._stream.order == "<" else "-be"
        return self._take("text", size).decode(encoding, errors="replace")

    def expect_text(self) -> tuple[str, int]:
        """How its characters, which follow, are stored, and their bytes; none is read.

        Raises
        ------
        CorpusError
            If it is of another kind.
        """
        if self.kind != "char":
            raise self._other_kind("text")
        stored, size = self._tag("text")
        if stored not in _ENCODINGS:
            raise self.wrong("the text", "a type of text", f"type {stored}")
        return _ENCODINGS[stored], size

    def skip(self, size: int) -> None:
        """Go past numbers or characters that follow."""
        if self._small is None:
            self._go_to(self._stream.position + size + -size % 8)

    def pass_over(self) -> None:
        """Go to its end, a piece at a time."""
        self._go_to(self._end)

    def finish(self) -> None:
        """Where all of a variable has been read: nothing may follow, and zlib's checksum, which comes last, must fit.

        Raises
        ------
        CorpusError
            If more follows than padding.
        """
        if self._room < 8:
            self.pass_over()
            if self._stream.rest() >= 8:
                raise self.wrong("the size", f"{self._end} bytes", "more of them")

    def wrong(self, what: str, expected: str, found: str) -> CorpusError:
        """The error that says what is wrong with it."""
        return damage(self.path, f"{what} of '{self.where}'", expected, found)

    def _other_kind(self, expected: str) -> CorpusError:
        found = f"{'complex ' if self.is_complex else ''}{self.kind} of {self.shape}"
        return CorpusError(f"'{self.where}' in '{self.path}' is of another kind: expected {expected}, found {found}.")

    def _arrays(self, names: Iterable[str]) -> Iterator[MatlabArray]:
        """Those that follow, each passed over when the next is due."""
        for name in names:
            where = self.where + name
            if self._room < 8:
                raise damage(self.path, f"'{self.where}'", f"'{where}' in it", "its end")
            size = self._stream.matrix_tag()
            if size > self._room:
                raise damage(self.path, f"the size of '{where}'", f"{self._room} bytes at most", str(size))
            child = MatlabArray(self._stream, where, size)
            yield child
            child.pass_over()

    def _field_names(self) -> list[str]:
        (width, *more), names = self._integers("length of names") or (0,), self._part("names", _TEXTS)
        # SciPy divides by this length
        if width < 1 or more or len(names) % width:
            raise self.wrong("the field names", "names of one length", f"{len(names)} bytes in names of {width}")
        starts = range(0, len(names), width)
        return [names[start : start + width].split(b"\0")[0].decode("latin-1") for start in starts]

    def _name(self, what: str) -> str:
        return self._part(what, _TEXTS).decode("latin-1")

    def _integers(self, what: str) -> tuple[int, ...]:
        content = self._part(what, _INTEGERS)
        if len(content) % 4:
            raise self.wrong(f"the {what}", "a multiple of 4 bytes", str(len(content)))
        return tuple(int(number) for number in np.frombuffer(content, f"{self._stream.order}i4"))

    def _part(self, what: str, kinds: tuple[int, ...]) -> bytes:
        """The content of one of its own elements, which is of one of some types."""
        kind, size = self._tag(what)
        if kind not in kinds or size > _LONGEST_HEADER:
            expected = f"{_LONGEST_HEADER} bytes of type {kinds[0]} at most"
            raise self.wrong(f"the {what}", expected, f"{size} of type {kind}")
        return self._take(what, size)

    def _tag(self, what: str) -> tuple[int, int]:
        """Type and size of one of its own elements, whose content is there, and follows."""
        if self._room < 8:
            raise self.wrong(f"the {what}", "8 bytes or more", str(self._room))
        tag = self._stream.take(8, f"the {what} of '{self.where}'")
        kind, size = (int(word) for word in np.frombuffer(tag, f"{self._stream.order}u4"))
        self._small = None
        if kind >> 16:
            # the small form: type and bytes in a word, and up to four bytes in the other
            kind, size, self._small = kind & 0xFFFF, kind >> 16, tag[4:]
        room = self._room if self._small is None else len(self._small)
        if size > room:
            raise self.wrong(f"the {what}", f"{room} bytes at most", str(size))
        return kind, size

    def _take(self, what: str, size: int) -> bytes:
        """The content of the element whose tag was read."""
        if self._small is not None:
            return self._small[:size]
        # the last element of a variable may stand without its padding
        return self._stream.take(min(size + -size % 8, self._room), f"the {what} of '{self.where}'")[:size]

    @property
    def _room(self) -> int:
        """Bytes of it that are left."""
        return self._end - self._stream.position

    def _go_to(self, position: int) -> None:
        while (left := min(position, self._end) - self._stream.position) > 0:
            self._stream.take(min(CHUNK, left), self.where)
