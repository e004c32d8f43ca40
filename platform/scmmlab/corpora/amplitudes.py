"""Whether recordings, or channels of one, are so much larger or smaller than the others that their unit must differ."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from statistics import median

LARGEST_FACTOR = 100.0
"""Units are a thousand apart; the EEG of one head is hardly ever more than ten times that of another."""


def unlike_others(levels: Mapping[str, float]) -> Iterator[tuple[str, float]]:
    """What differs from the median of all others by more than `LARGEST_FACTOR`, and by which factor.

    Of two that differ, it is each: nobody can tell which is right.

    Parameters
    ----------
    levels : mapping of str to float
        Natural logarithms of amplitudes.
    """
    for name, level in levels.items():
        others = [other for key, other in levels.items() if key != name]
        if others and abs(level - median(others)) > math.log(LARGEST_FACTOR):
            yield name, math.exp(level - median(others))


def factor_text(factor: float) -> str:
    """A factor in words: `1,000 times larger`."""
    return f"{factor:,.0f} times larger" if factor > 1 else f"{1 / factor:,.0f} times smaller"
