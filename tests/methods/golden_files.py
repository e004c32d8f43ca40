"""Golden files with a number that is wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np


def arrays_of(folder: Path, name: str) -> list[str]:
    """Names of the arrays of a file."""
    with np.load(folder / f"{name}.npz") as file:
        return [array for array in file.files if array != "config"]


def altered(path: Path, folder: Path, name: str) -> Path:
    """A copy of a file, one number of one array changed by about its own size."""
    with np.load(path) as file:
        arrays = {key: file[key] for key in file.files}
    array = arrays[name].copy()
    place = tuple(size // 3 for size in array.shape)
    value = array[place]
    if array.dtype.kind == "U":
        array[place] = "Cz"
    elif array.dtype.kind == "b":
        array[place] = not value
    else:
        array[place] = value + 1 if array.dtype.kind in "iu" or value == 0 else 2 * value
    copy = folder / path.name
    np.savez(copy, **(arrays | {name: array}))
    return copy
