"""Golden vectors of any method: a .npz file of numbers that an implementation gave, and how near ours come.

The error of an array is the greater of ‖ours − golden‖ / ‖golden‖ and a tenth of its largest single difference over the
root mean square of the golden numbers: the first is how closeness is stated, the second sees one wrong number among
thousands.
"""

from __future__ import annotations

import json
import math
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from scmmlab.errors import CorpusError

PACK, PLACE = 7, 3
"""Replicas of the pack in which a file's replica is checked, and its place there."""
HINT = "make the file anew; the format is described in tests/golden/README.md."


@dataclass(frozen=True)
class GoldenCheck:
    """One quantity of one file."""

    quantity: str
    """What was compared."""
    error: float
    """Largest relative error; NaN where a number is not one."""
    tolerance: float
    """What the error may be."""

    @property
    def ok(self) -> bool:
        """Whether the error is within tolerance; NaN is not."""
        return self.error <= self.tolerance


@dataclass(frozen=True)
class GoldenFile:
    """One file, and which of its arrays were asked for."""

    path: Path
    config: Mapping[str, Any]
    """Its settings."""
    arrays: Mapping[str, NDArray[Any]]
    asked: set[str] = field(default_factory=set)
    """Names of the arrays that were computed with or compared."""

    def setting(self, name: str) -> Any:
        """One of its settings.

        Raises
        ------
        CorpusError
            If it is missing.
        """
        if name not in self.config:
            raise CorpusError(f"The settings of {self.path} must hold {name!r}, found {sorted(self.config)}.", HINT)
        return self.config[name]

    def tensor(self, name: str, shape: tuple[int, ...] | None = None, integer: bool = False) -> Tensor:
        """One array, numbers as float64.

        Parameters
        ----------
        name : str
            Its name.
        shape : tuple of int or None
            What it must have; any when None.
        integer : bool
            Whether it must hold whole numbers.

        Raises
        ------
        CorpusError
            If it is missing, or has another shape or type.
        """
        check_array(self.path, self.arrays, name, shape, integer)
        self.asked.add(name)
        return torch.as_tensor(self.arrays[name]).to(torch.int64 if integer else torch.float64)

    def check_all_asked(self) -> None:
        """See that there is no array that nobody asked for.

        Raises
        ------
        CorpusError
            If there is one: it was not compared, and nobody would notice that it is wrong.
        """
        left = sorted(self.arrays.keys() - self.asked - {"config"})
        if left:
            raise CorpusError(f"{self.path} holds arrays that this method knows nothing of: {left}.", HINT)


class GoldenVerifier(Protocol):
    """What compares a method with its golden vectors."""

    def recognises(self, file: GoldenFile) -> bool:
        """Whether a file is one of this method."""

    def verify(self, file: GoldenFile, device: torch.device, pack: bool) -> list[GoldenCheck]:
        """Compute what the file holds, in float64, and compare.

        Parameters
        ----------
        file : GoldenFile
            The file.
        device : device
            Where to compute.
        pack : bool
            Whether the file's replica sits in the middle of a pack of seven.

        Raises
        ------
        CorpusError
            If the file lacks something, or holds something that is not compared.
        """


def read_file(path: str | Path) -> GoldenFile:
    """Read a file of golden vectors.

    Raises
    ------
    CorpusError
        If it cannot be read, or has no settings.
    """
    path = Path(path)
    arrays = _load(path)
    return GoldenFile(path, _config(path, arrays), arrays)


def _load(path: Path) -> dict[str, NDArray[Any]]:
    try:
        with np.load(path, allow_pickle=False) as file:
            if not isinstance(file, np.lib.npyio.NpzFile):
                raise ValueError("it is a single array")
            return {name: file[name] for name in file.files}
    except FileNotFoundError:
        raise CorpusError(f"There is no file of golden vectors at {path}.") from None
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zipfile.error):
        # what NumPy says of such files is advice on pickles, which are never read here
        raise CorpusError(
            f"{path} must be a .npz file of golden vectors, found one that is damaged or none.", HINT
        ) from None
    except TypeError:
        raise CorpusError(f"{path} must be a .npz file of golden vectors, found a single array.", HINT) from None


def _config(path: Path, arrays: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    if "config" not in arrays:
        raise CorpusError(f"{path} must hold its settings under 'config', found {sorted(arrays)[:8]}.", HINT)
    try:
        config = json.loads(str(arrays["config"]))
    except json.JSONDecodeError as error:
        raise CorpusError(
            f"The settings 'config' of {path} must be JSON, but they cannot be read: {error}.", HINT
        ) from None
    if not isinstance(config, dict):
        raise CorpusError(f"The settings 'config' of {path} must be a JSON object, found {config!r}.", HINT)
    return config


def check_array(
    path: Path, arrays: Mapping[str, NDArray[Any]], name: str, size: tuple[int, ...] | None, integer: bool
) -> None:
    """See that an array is there, with that shape (any when None), and whole numbers or bits if `integer`.

    Raises
    ------
    CorpusError
        If not.
    """
    if name not in arrays:
        raise CorpusError(f"{path} must hold {name!r}, but it is missing.", HINT)
    found = arrays[name]
    if size is not None and found.shape != size:
        raise CorpusError(f"{name!r} of {path} must have shape {size}, found {found.shape}.", HINT)
    kinds, words = ("biu", "whole numbers or bits") if integer else ("f", "floating-point numbers")
    if found.dtype.kind not in kinds:
        raise CorpusError(f"{name!r} of {path} must hold {words}, found {found.dtype}.", HINT)


def relative_error(ours: Tensor, golden: Tensor) -> float:
    """The error of an array, as the module says; NaN if any number is, ∞ if golden ones are all 0 and ours are not."""
    ours, golden = ours.detach().cpu().double(), golden.detach().cpu().double()
    difference, size = ours - golden, golden.norm()
    largest = difference.abs().max() * math.sqrt(golden.numel()) / 10
    error = float(torch.maximum(difference.norm(), largest))
    if error == 0:
        return 0.0
    return error / float(size) if float(size) > 0 else math.inf


def nan_greatest(error: float) -> float:
    """An error to compare others with: one that is not a number is greater than all."""
    return math.inf if math.isnan(error) else error


def worst(what: str, errors: Mapping[str, float], tolerance: float) -> GoldenCheck:
    """One check of many tensors, named after the worst."""
    name = max(errors, key=lambda name: nan_greatest(errors[name]))
    return GoldenCheck(f"{what}, worst {name}", errors[name], tolerance)
