"""Settings of RGNN."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field

from scmmlab.config.experiment import OptimizerSpec
from scmmlab.errors import SpecError
from scmmlab.methods.electrodes import canonical_names
from scmmlab.methods.packed_spec import PackedSpec, TrainingSpec

ORDERED_CLASSES = (
    ("negative", "neutral", "positive"),
    ("sad", "neutral", "happy"),
    ("neutral", "sad", "fear", "happy"),
)
"""Classes, in the order of their labels, whose nearness to each other is published (or is that of SEED's three)."""


class RgnnSpec(PackedSpec):
    """An experiment with RGNN."""

    NOT_GRANTED: ClassVar[Mapping[str, str]] = {
        "node_dat": "unlabelled windows of the target (it makes electrodes of source and target look alike)"
    }

    method: Literal["rgnn"] = "rgnn"
    """What is trained."""
    adjacency: Literal["learned", "distance", "identity"] = "learned"
    """`learned`: a symmetric matrix that starts from how far electrodes lie apart; `distance`: that start, fixed;
    `identity`: no graph, each electrode sees itself alone."""
    cross_links: bool = True
    """Whether the graph starts with links of negative weight between nine pairs of left and right electrodes."""
    depth: int = Field(2, ge=0, le=8)
    """How often electrodes mix; with 0 each sees itself alone."""
    hidden: int = Field(64, ge=1, le=1024)
    """Features of an electrode after the graph convolution."""
    dropout: float = Field(0.7, ge=0, lt=1)
    """Probability that a feature of a window is dropped before the classifier."""
    noise: float = Field(0.1, ge=0, le=0.75)
    """Share ε of a label that goes to other emotions, the nearer ones (EmotionDL); with two classes, none."""
    l1: float = Field(0.01, ge=0, le=100)
    """Weight of the sum of the links' sizes, each link counted once."""
    finetune: TrainingSpec = TrainingSpec(
        batch_size=16, optimizer=OptimizerSpec(learning_rate=2e-3, beta2=0.999, weight_decay=1e-4)
    )
    """Training."""

    @property
    def uses_graph(self) -> bool:
        """Whether an electrode sees others."""
        return self.adjacency != "identity" and self.depth > 0

    @property
    def learns_graph(self) -> bool:
        """Whether links are learned."""
        return self.adjacency == "learned" and self.depth > 0

    def unfit(self, channels: tuple[str, ...], classes: tuple[str, ...]) -> str | None:
        """Why it cannot be trained on these channels, or for these classes; None where it can."""
        if self.uses_graph:
            try:
                canonical_names(channels, f"adjacency: {self.adjacency}")
            except SpecError as error:
                return str(error)
        known = (*ORDERED_CLASSES, *(order[::-1] for order in ORDERED_CLASSES if len(order) == 3))
        if self.noise > 0 and len(classes) > 2 and classes not in known:
            listed = " or ".join(str(list(order)) for order in ORDERED_CLASSES)
            return (
                f"'noise' needs to know which emotions are near to each other, which is known of two classes and of "
                f"{listed} in that order, found {list(classes)}; set noise: 0, or name the classes so."
            )
        return None
