"""Subjects in groups: which are tested together, and which of the others validate."""

from __future__ import annotations

import math
from collections.abc import Sequence

from scmmlab.evaluation.within_subject import share_count


def subject_groups(subjects: Sequence[int], per_fold: int) -> list[tuple[int, ...]]:
    """Subjects in numeric order, cut into as few groups as `per_fold` allows, of sizes that differ by one at most.

    Ten subjects by three are 3, 3, 2, 2: no group is larger than `per_fold`, and none is left with the remainder.
    """
    ordered = sorted(subjects)
    count = math.ceil(len(ordered) / per_fold)
    size, larger = divmod(len(ordered), count)
    groups, start = [], 0
    for number in range(count):
        end = start + size + (number < larger)
        groups.append(tuple(ordered[start:end]))
        start = end
    return groups


def left_in(subjects: Sequence[int], tested: Sequence[int], validation_share: float) -> tuple[list[int], list[int]]:
    """The subjects who are trained on and those who validate while `tested` are left out.

    The others stand in numeric order in a circle that begins after the tested ones, and the last of them validate:
    those just before the tested ones. So over all folds each subject validates about equally often, without chance.

    Returns
    -------
    trained, validating : list of int
        In numeric order. With fewer than two others, nobody validates.
    """
    later = sorted(subject for subject in subjects if subject > max(tested))
    earlier = sorted(subject for subject in subjects if subject < max(tested) and subject not in tested)
    circle = later + earlier
    cut = len(circle) - share_count(validation_share, len(circle))
    return sorted(circle[:cut]), sorted(circle[cut:])
