"""Sizes of the network and of its input."""

from __future__ import annotations

from dataclasses import dataclass

from scmmlab.replica.convolution import conv_length
from scmmlab.replica.pooling import pooled_length


@dataclass(frozen=True)
class Shape:
    """Sizes of the network and of its input; all replicas of a pack share them."""

    channels: int
    """C."""
    bands: int = 5
    """F."""
    width: int = 128
    """D."""
    classifier_width: int = 128
    """Units of the classifier's hidden layer."""
    classes: int = 2
    """Classes of the target."""
    views: int = 1
    """Masked copies V of each window."""

    @property
    def blocks(self) -> tuple[tuple[int, int], ...]:
        """(input, output) channels of the encoder's three convolutions."""
        d = self.width
        return (self.channels, d // 4), (d // 4, d // 2), (d // 2, d)

    @property
    def embedding(self) -> int:
        """Numbers of h: D times the points that are left after three blocks (3 for 5 bands, so 3·D)."""
        points = self.bands
        for _ in self.blocks:
            points = pooled_length(conv_length(points))
        return self.width * points
