"""MATLAB files of version 5 to 7: which variables there are, and each of them when it is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from scmmlab.corpora.matlab import MOST_VARIABLES, MatlabVariable, open_matlab
from scmmlab.corpora.matlab_arrays import MatlabArray
from scmmlab.corpora.matlab_v5_stream import DTYPES, Element, damage, elements, reading
from scmmlab.errors import CorpusError


class MatlabFile5:
    """See `open_matlab`."""

    version: str = "5"

    def __init__(self, path: Path):
        self.path = path
        self._elements: dict[str, Element] = {}
        self.variables: Mapping[str, MatlabVariable] = self._index()

    def read(self, name: str) -> NDArray[Any]:
        """One real, numeric variable."""
        with self.open(name) as variable:
            return variable.numbers()

    @contextmanager
    def open(self, name: str) -> Iterator[MatlabArray]:
        """A variable, to be read in its order; what is not read of it is passed over without being checked."""
        with reading(self.path, f"the variable '{name}'") as file:
            variable = MatlabArray.at(self.path, file, self._elements[name])
            yield variable
            variable.finish()

    def _index(self) -> dict[str, MatlabVariable]:
        index: dict[str, MatlabVariable] = {}
        with reading(self.path, "a variable") as file:
            for element in elements(self.path, file):
                variable = MatlabArray.at(self.path, file, element)
                name = variable.name
                if name in index:
                    raise damage(self.path, f"the number of variables '{name}'", "1", "2")
                if len(index) == MOST_VARIABLES:
                    raise damage(self.path, "the number of variables", f"at most {MOST_VARIABLES}", "more")
                if variable.kind in DTYPES:
                    variable.expect_numbers()
                self._elements[name] = element
                index[name] = MatlabVariable(name, variable.shape, variable.kind)
        return index


@contextmanager
def open_variable(path: Path, name: str) -> Iterator[MatlabArray]:
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
    file = open_matlab(path)
    if not isinstance(file, MatlabFile5):
        raise CorpusError(
            f"'{path}' is of another version: expected MATLAB 5 to 7, found {file.version}.",
            "load it in MATLAB and save it with -v7.",
        )
    if name not in file.variables:
        raise CorpusError(
            f"'{path}' has no variable '{name}': expected it, found {', '.join(file.variables) or 'none'}."
        )
    with file.open(name) as variable:
        yield variable
