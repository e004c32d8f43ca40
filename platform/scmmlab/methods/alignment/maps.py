"""What an alignment comes to: a map of the source's windows and one of the target's, each window by itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from scmmlab.methods.fold_figures import PREDICTED_ROWS

Matrix = NDArray[np.float64]
Map = Callable[[Matrix], Matrix]
"""Windows [N, P] → windows [N, P'], row by row."""


class Maps(NamedTuple):
    """Of either side."""

    source: Map
    target: Map


def mapped(one: Map, x_NP: Matrix) -> Matrix:
    """Windows by a map, as many at a time whatever their number: each comes out alike in any company.

    Parameters
    ----------
    one : callable
        The map.
    x_NP : array, shape=(N, P)
        Windows; where there are none, the result has none either, and the map's P'.
    """
    parts = []
    for start in range(0, max(len(x_NP), 1), PREDICTED_ROWS):
        part = x_NP[start : start + PREDICTED_ROWS]
        # with another number of rows a matrix multiplication may round otherwise; the last stands for those missing
        filler = x_NP[-1:] if len(x_NP) else np.zeros((1, x_NP.shape[1]))
        full = np.concatenate((part, np.repeat(filler, PREDICTED_ROWS - len(part), axis=0)))
        parts.append(one(full)[: len(part)])
    return np.concatenate(parts)


def as_it_is(x_NP: Matrix) -> Matrix:
    """The map that changes nothing."""
    return x_NP
