"""What every split asserts: nothing is on two sides, and each class is on every side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from scmmlab.errors import SplitError


def check_nothing_shared(fold: str, unit: str, parts: Mapping[str, NDArray[np.int64]]) -> None:
    """Refuse a fold of which one unit is in two parts.

    Parameters
    ----------
    fold : str
        Its name.
    unit : str
        What the numbers stand for: `trial` or `subject`.
    parts : mapping of str to array of int
        Numbers of the units in each part, by the part's name.

    Raises
    ------
    SplitError
        If two parts share a unit.
    """
    names = list(parts)
    for position, name in enumerate(names):
        for other in names[position + 1 :]:
            shared = np.intersect1d(parts[name], parts[other])
            if shared.size:
                raise SplitError(
                    f"Fold '{fold}' has the same {unit} in its {name} part and its {other} part "
                    f"({shared.size} of them), where no {unit} may be on two sides."
                )


def check_classes(
    fold: str, whose: str, classes: Sequence[str], parts: Mapping[str, NDArray[np.int64]], hint: str
) -> None:
    """Refuse a fold of which a part lacks a class.

    Parameters
    ----------
    fold : str
        Its name.
    whose : str
        Whose part it is, for the message: ` of subject 3`, or nothing.
    classes : sequence of str
        Names of the classes.
    parts : mapping of str to array of int
        Labels that occur in each part, by the part's name.
    hint : str
        What the user can do.

    Raises
    ------
    SplitError
        That names the fold, each part that lacks a class, and the classes.
    """
    lacking = []
    for part, labels in parts.items():
        present = set(np.unique(labels).tolist())
        names = [repr(name) for label, name in enumerate(classes) if label not in present]
        if names:
            lacking.append(
                f"no trial of class{'es' if len(names) > 1 else ''} {', '.join(names)} in the {part} part{whose}"
            )
    if lacking:
        raise SplitError(
            f"Fold '{fold}' has {' and '.join(lacking)}, where each class must be on every side.", hint=hint
        )
