"""MATLAB files with structs and cells, held to their form element by element before SciPy reads them.

Some that are damaged end SciPy's process: 237 of 6,000 copies in which a few fields were altered (docs/decisions/0016).
"""

from __future__ import annotations

from math import prod
from pathlib import Path

from scmmlab.corpora.matlab_arrays import MatlabArray
from scmmlab.corpora.matlab_v5_stream import DTYPES, elements, reading

_DEEPEST = 40
_LARGEST = 2**31
"""No variable of such a file has more bytes."""


def check_structs(path: Path) -> None:
    """Raise a `CorpusError` unless each element of a MATLAB file of version 5 to 7, nested or not, has its form."""
    with reading(path, "a variable") as file:
        for element in elements(path, file):
            variable = MatlabArray.at(path, file, element)
            _check(variable, 0)
            variable.pass_over()
            variable.finish()


def _check(array: MatlabArray, depth: int) -> None:
    if depth > _DEEPEST:
        raise array.wrong("the depth", f"arrays nested {_DEEPEST} deep at most", "more")
    if prod(array.shape) > _LARGEST:
        raise array.wrong("the dimensions", f"{_LARGEST} numbers at most", str(array.shape))
    if array.kind in DTYPES:
        for _ in range(1 + array.is_complex):
            array.skip(array.expect_numbers()[1])
    elif array.kind == "char":
        array.skip(array.expect_text()[1])
    else:
        for part in array.arrays():
            _check(part, depth + 1)
