"""The graph that RGNN starts from (Zhong et al. 2020), and a symmetric matrix as its lower triangle."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from scmmlab.methods.electrodes import canonical_names, distance_weights

CROSS_LINKS = (
    ("Fp1", "Fp2"),
    ("AF3", "AF4"),
    ("F5", "F6"),
    ("FC5", "FC6"),
    ("C5", "C6"),
    ("CP5", "CP6"),
    ("P5", "P6"),
    ("PO5", "PO6"),
    ("O1", "O2"),
)
"""Left and right electrodes whose link starts 1 lower: asymmetry between hemispheres tells emotions."""


def present_cross_links(channels: Sequence[str], needed_by: str) -> list[tuple[int, int]]:
    """Places of the pairs of which both electrodes are among the channels."""
    place = {name: number for number, name in enumerate(canonical_names(channels, needed_by))}
    return [(place[left], place[right]) for left, right in CROSS_LINKS if left in place and right in place]


def initial_adjacency(
    channels: Sequence[str], cross_links: bool, needed_by: str, delta_cm2: float = 5.0
) -> NDArray[np.float64]:
    """Weights [C, C]: min(1, δ / d²), 1 on the diagonal, and 1 less between the pairs of `CROSS_LINKS`.

    Parameters
    ----------
    channels : sequence of str
        Names of a table.
    cross_links : bool
        Whether there are the pairs.
    needed_by : str
        The setting that asks, for an error.
    delta_cm2 : float
        δ in cm².

    Raises
    ------
    SpecError
        If nobody knows where a channel lies.
    """
    adjacency = distance_weights(channels, needed_by, delta_cm2)
    if cross_links:
        for left, right in present_cross_links(channels, needed_by):
            adjacency[left, right] -= 1
            adjacency[right, left] -= 1
    return adjacency


def triangle_places(channels: int) -> Tensor:
    """Where the entry (i, j) of a symmetric matrix stands in its lower triangle, int64 [C, C].

    The triangle is read row by row: (0, 0), (1, 0), (1, 1), (2, 0), …
    """
    number = torch.arange(channels)
    high, low = torch.maximum(number[:, None], number), torch.minimum(number[:, None], number)
    return high * (high + 1) // 2 + low
