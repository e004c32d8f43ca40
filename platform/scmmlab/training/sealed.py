"""Sealed labels: test labels that training carries along and cannot read by accident."""

from __future__ import annotations

from typing import NoReturn

import numpy as np
from numpy.typing import NDArray


class SealedLabels:
    """Labels that stay closed until the evaluate stage opens them.

    Every way by which an array is read in passing (NumPy, iteration, indexing, printing, pickling) is shut, so that
    test labels cannot reach anything that trains or chooses without a call of :meth:`open` standing in the code.

    Parameters
    ----------
    label : array of int, shape (windows,)
        The labels.
    """

    __slots__ = ("__label",)

    def __init__(self, label: NDArray[np.int64]):
        self.__label = np.array(label, dtype=np.int64)

    def open(self) -> NDArray[np.int64]:
        """The labels. Called by the evaluate stage alone."""
        return self.__label

    def __len__(self) -> int:
        return len(self.__label)

    def __repr__(self) -> str:
        return f"SealedLabels({len(self)} windows)"

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise TypeError("test labels are sealed until the evaluate stage opens them")

    __array__ = _refuse
    __getitem__ = _refuse
    __iter__ = _refuse
    __reduce_ex__ = _refuse
    __eq__ = _refuse
    __hash__ = None  # type: ignore[assignment]
