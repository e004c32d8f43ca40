"""The variables of MATLAB files of version 5 to 7, each held against the bytes that are there."""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from scmmlab.corpora.matlab import MOST_VARIABLES, MatlabVariable
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
    elements,
)
from scmmlab.errors import CorpusError


@dataclass(frozen=True)
class _Element:
    """Where a variable lies in the file, and its numbers in the (decompressed) variable."""

    variable: MatlabVariable
    place: Element
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
        if variable.kind not in DTYPES or element.complex:
            kind = f"complex {variable.kind}" if element.complex else variable.kind
            raise self._wrong(f"the variable '{name}'", "real numbers", kind)
        try:
            with self.path.open("rb") as file:
                take = content_of(file, element.place)
                take(element.skip)
                data = take(element.count)
                if element.place.compressed:
                    # the rest is padding and zlib's checksum, which only speaks once all has been asked for
                    rest = take(CHUNK)
                    if len(rest) >= 8:
                        raise self._wrong(f"the size of '{name}'", f"{element.count} bytes", "more of them")
        except zlib.error as error:
            raise self._wrong(f"the variable '{name}'", "compressed numbers", f"damaged ones ({error})") from error
        except OSError as error:
            raise self._wrong(f"the variable '{name}'", "numbers", error.strerror) from error
        if len(data) != element.count:
            raise self._wrong(f"the variable '{name}'", f"{element.count} bytes", f"{len(data)}")
        stored = np.frombuffer(data, element.stored)
        return stored.astype(DTYPES[variable.kind], copy=False).reshape(variable.shape, order="F")

    def _index(self) -> dict[str, _Element]:
        index: dict[str, _Element] = {}
        with self.path.open("rb") as file:
            for place in elements(self.path, file):
                element = self._element(file, place)
                name = element.variable.name
                if name in index:
                    raise self._wrong(f"the number of variables '{name}'", "1", "2")
                if len(index) == MOST_VARIABLES:
                    raise self._wrong("the number of variables", f"at most {MOST_VARIABLES}", "more")
                index[name] = element
        return index

    def _element(self, file: BinaryIO, place: Element) -> _Element:
        offset, order = place.offset, place.order
        try:
            take = content_of(file, place)
            if place.compressed:
                kind, size_inside = self._words(take(8), order)
                if kind != MATRIX:
                    raise self._wrong(f"what is compressed at byte {offset}", "a variable", f"type {kind}")
            else:
                size_inside = place.size
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
            variable = MatlabVariable(parts[2].decode("latin-1"), shape, KINDS.get(flags & 0xFF, "unknown"))
            if any(number < 0 for number in shape):
                raise self._wrong(f"the dimensions of '{variable.name}'", "none below 0", str(shape))
            stored, tag_bytes, count = "", 0, 0
            if variable.kind in DTYPES:
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
        skip = position + tag_bytes + (8 if place.compressed else 0)
        return _Element(variable, place, bool(flags & COMPLEX), stored, skip, count)

    def _numbers(self, take: Take, order: str, variable: MatlabVariable) -> tuple[str, int, int]:
        """Type, bytes of the tag, and bytes of the numbers."""
        tag = take(8)
        kind, count = self._words(tag, order)
        tag_bytes = 8
        if kind >> 16:
            # the small form: type and bytes in a word, and up to four bytes in the other
            kind, count, tag_bytes = kind & 0xFFFF, kind >> 16, 4
        if kind not in NUMBERS:
            raise self._wrong(f"the numbers of '{variable.name}'", "a type of numbers", f"type {kind}")
        return order + NUMBERS[kind], tag_bytes, count

    def _part(self, take: Take, order: str, limit: int, what: str) -> tuple[int, bytes, int]:
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
        return damage(self.path, what, expected, found)
