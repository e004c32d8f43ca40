"""MATLAB files of version 7.3, which are HDF5 with dimensions in the other order."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from scmmlab.corpora.matlab import MOST_VARIABLES, MatlabVariable
from scmmlab.errors import CorpusError

MAX_EXPANSION = 100
"""How many times larger than in its file a compressed variable may be; EEG shrinks to a half at best."""
_FEW_BYTES = 2**20
"""Short variables of equal numbers may shrink to less."""
_HINT = "copy or download the file again."


class MatlabFile73:
    """See `open_matlab`."""

    version: str = "7.3"

    def __init__(self, path: Path):
        self.path = path
        with self._opened() as file:
            if len(file) > MOST_VARIABLES:
                raise self._wrong("the number of variables", f"at most {MOST_VARIABLES}", str(len(file)))
            # h5py gives names that are no text as bytes; what MATLAB keeps for itself (#refs#) is no variable
            names = [name for name in file if isinstance(name, str) and not name.startswith("#")]
            self.variables: Mapping[str, MatlabVariable] = {name: self._variable(file, name) for name in names}

    def read(self, name: str) -> NDArray[Any]:
        """One real, numeric variable."""
        with self._opened() as file:
            dataset = file[name]
            if not isinstance(dataset, h5py.Dataset) or dataset.dtype.kind not in "fiu":
                raise self._wrong(f"the variable '{name}'", "real numbers", self.variables[name].kind)
            self._check_stored(dataset, name)
            # the last dimension of MATLAB's is the first of HDF5's
            numbers: NDArray[Any] = dataset[()].T
            return numbers

    @contextmanager
    def _opened(self) -> Iterator[h5py.File]:
        try:
            with h5py.File(self.path, "r") as file:
                yield file
        except (OSError, RuntimeError, LookupError, ValueError, TypeError, ArithmeticError, MemoryError) as error:
            # HDF5 says in brackets what went wrong
            found = str(error).split("(")[-1].rstrip(")'\"") or type(error).__name__
            raise CorpusError(
                f"'{self.path}' cannot be read: expected a MATLAB 7.3 file, found one that is damaged ({found}).", _HINT
            ) from error

    def _variable(self, file: h5py.File, name: str) -> MatlabVariable:
        link = file.get(name, getlink=True)
        if not isinstance(link, h5py.HardLink):
            raise self._wrong(f"the variable '{name}'", "numbers in the file itself", "a link to elsewhere")
        found = file[name]
        kind = found.attrs.get("MATLAB_class", b"unknown")
        kind = kind.decode("latin-1") if isinstance(kind, bytes) else str(kind)
        if not isinstance(found, h5py.Dataset):
            return MatlabVariable(name, (), kind)
        return MatlabVariable(name, tuple(int(number) for number in found.shape[::-1]), kind)

    def _check_stored(self, dataset: h5py.Dataset, name: str) -> None:
        """Refuse numbers that lie in other files, were never written (HDF5 gives zeros) or swell as no EEG does."""
        if dataset.external or dataset.is_virtual:
            raise self._wrong(f"the variable '{name}'", "numbers in the file itself", "a link to other files")
        if dataset.chunks:
            needed = math.prod(-(-whole // part) for whole, part in zip(dataset.shape, dataset.chunks, strict=True))
            there = dataset.id.get_num_chunks()
        else:
            needed = math.prod(dataset.shape) * np.dtype(dataset.dtype).itemsize
            there = dataset.id.get_storage_size()
        if there < needed:
            unit = "pieces" if dataset.chunks else "bytes"
            raise self._wrong(f"the header of '{name}'", f"{needed} {unit} for {dataset.shape[::-1]}", f"{there}")
        size, stored = math.prod(dataset.shape) * np.dtype(dataset.dtype).itemsize, dataset.id.get_storage_size()
        if size > MAX_EXPANSION * stored + _FEW_BYTES:
            raise self._wrong(f"the variable '{name}'", f"at most {MAX_EXPANSION} times its {stored} bytes", f"{size}")

    def _wrong(self, what: str, expected: str, found: str) -> CorpusError:
        return CorpusError(f"'{self.path}' is damaged in {what}: expected {expected}, found {found}.", _HINT)
