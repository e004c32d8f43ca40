"""MATLAB files of numbers: what they hold is known, and held against their size, before anything is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from numpy.typing import NDArray

from scmmlab.errors import CorpusError

_HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_USER_BLOCK_BYTES = 512
"""What MATLAB 7.3 writes before the HDF5 file begins."""
MOST_VARIABLES = 10_000
"""A file of a corpus has some hundreds; one of millions would fill the memory with their names."""


@dataclass(frozen=True)
class MatlabVariable:
    """A variable as the file's header describes it.

    Parameters
    ----------
    name : str
        Its name.
    shape : tuple of int
        As MATLAB shows it, whichever way it lies in the file.
    kind : str
        MATLAB's class: `double`, `single`, `int16`, `char`, `cell`, `struct`, …
    """

    name: str
    shape: tuple[int, ...]
    kind: str


class MatlabFile(Protocol):
    """A MATLAB file whose variables can be read one at a time."""

    path: Path
    version: str
    """`5` (which v6 and v7 are too) or `7.3`."""
    variables: Mapping[str, MatlabVariable]
    """What the header says there is."""

    def read(self, name: str) -> NDArray[Any]:
        """One real, numeric variable in MATLAB's orientation.

        Raises
        ------
        CorpusError
            If it is of another kind, or what lies in the file is not what its header says.
        """


def open_matlab(path: Path) -> MatlabFile:
    """The contents of a MATLAB file of version 5 to 7.3.

    Parameters
    ----------
    path : Path
        A file; only its headers are read.

    Raises
    ------
    CorpusError
        If it is not a MATLAB file, of version 4, truncated, or a header in it cannot be true.
    """
    # imported here, because h5py takes time to load and most files need one of the two
    try:
        with path.open("rb") as file:
            start = file.read(_USER_BLOCK_BYTES + len(_HDF5_SIGNATURE))
    except OSError as error:
        raise CorpusError(f"'{path}' cannot be read: expected a MATLAB file, found {error.strerror}.") from error
    if start.startswith((b"MATLAB 7.3", _HDF5_SIGNATURE)) or start.endswith(_HDF5_SIGNATURE):
        from scmmlab.corpora.matlab_v73 import MatlabFile73

        return MatlabFile73(path)
    if start.startswith(b"MATLAB"):
        from scmmlab.corpora.matlab_v5 import MatlabFile5

        return MatlabFile5(path)
    raise CorpusError(
        f"'{path}' is not a MATLAB file: expected one that starts with 'MATLAB 5.0' or 'MATLAB 7.3', found "
        f"{repr(start[:10])[1:] if start else 'no byte at all'}.",
        "copy or download the file again.",
    )
