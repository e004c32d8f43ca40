"""Which channels lie on which side of the head."""

from __future__ import annotations

import re
from collections.abc import Sequence

from scmmlab.errors import SpecError
from scmmlab.methods.electrodes import POSITIONS, canonical_names


def hemispheres(channels: Sequence[str]) -> tuple[list[int], list[int]]:
    """Places of the channels of the left and of the right side.

    Odd numbers are left, even ones right, and the electrodes of the midline go to the left and to the right in turn,
    from the front to the back, at the end of each list. A right electrode stands where its left partner does. Of SEED's
    62 channels that is the public implementation's division, 31 on each side.

    Raises
    ------
    SpecError
        If nobody knows where a channel lies, or one side has none.
    """
    names = canonical_names(channels, "method: bidann")
    left = [number for number, name in enumerate(names) if name[-1] in "13579"]
    right = [number for number, name in enumerate(names) if name[-1] in "02468"]
    # F7 has the partner F8; one without partner comes last
    left_names = [names[number] for number in left]
    partners = {_partner(name): place for place, name in enumerate(left_names)}
    right.sort(key=lambda number: partners.get(names[number], len(left) + number))
    midline = sorted(set(range(len(names))) - {*left, *right}, key=lambda number: -POSITIONS[names[number]][1])
    left, right = left + midline[::2], right + midline[1::2]
    if not left or not right:
        raise SpecError(
            f"'method: bidann' needs channels on both sides of the head, found {len(left)} on the left and "
            f"{len(right)} on the right of {list(channels)}.",
            hint="choose channels of both hemispheres.",
        )
    return left, right


def _partner(name: str) -> str:
    return re.sub(r"\d+$", lambda found: str(int(found.group()) + 1), name)
