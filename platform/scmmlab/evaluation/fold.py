"""A fold: which rows of which table are fine-tuned on, validated on and tested on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from scmmlab.tables.checks import number_ranges

RowNumbers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Fold:
    """One or several target subjects that are tested together, and what is trained and validated on for them.

    Parameters
    ----------
    name : str
        Name in tables, such as `subjects 18-20`.
    subjects : tuple of int
        Tested subjects of the target, in numeric order.
    trained_on : {"target", "source"}
        The table that `finetune` and `validation` index.
    finetune, validation, test : array of int64
        Ascending row numbers; `test` always indexes the target. `validation` is empty under `released`.
    unlabelled : array of int64
        Rows of the target whose windows may be seen without their labels; empty where the protocol grants none.
    """

    name: str
    subjects: tuple[int, ...]
    trained_on: Literal["target", "source"]
    finetune: RowNumbers
    validation: RowNumbers
    test: RowNumbers
    unlabelled: RowNumbers = field(default_factory=lambda: np.zeros(0, dtype=np.int64))


def fold_name(subjects: Iterable[int]) -> str:
    """`subject 4`, `subjects 18-20` or `subjects 1-3, 7`."""
    numbers = sorted(subjects)
    return f"{'subject' if len(numbers) == 1 else 'subjects'} {number_ranges(numbers)}"
