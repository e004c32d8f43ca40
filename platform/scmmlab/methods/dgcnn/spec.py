"""Settings of DGCNN."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from scmmlab.errors import SpecError
from scmmlab.methods.electrodes import canonical_names
from scmmlab.methods.packed_spec import PackedSpec


class DgcnnSpec(PackedSpec):
    """An experiment with DGCNN."""

    method: Literal["dgcnn"] = "dgcnn"
    """What is trained."""
    adjacency: Literal["learned", "distance", "identity"] = "learned"
    """`learned`: one matrix for all windows; `distance`: fixed, by how far electrodes lie apart; `identity`: no graph,
    each electrode sees itself alone."""
    laplacian: Literal["paper", "libeer", "torcheeg"] = "paper"
    """What the polynomial is of: `paper` and `libeer` Chebyshev polynomials of the scaled and of the plain Laplacian,
    `torcheeg` powers of the normalised adjacency."""
    order: int = Field(2, ge=1, le=8)
    """Terms of the polynomial; with 1 each electrode sees itself alone."""
    hidden: int = Field(64, ge=1, le=1024)
    """Features of an electrode after the graph convolution."""
    dense: int = Field(256, ge=1, le=4096)
    """Units of the first dense layer."""
    dropout: float = Field(0.5, ge=0, lt=1)
    """Probability that a number is dropped after the graph convolution, and before each dense layer."""
    nonlinearity: Literal["relu", "none"] = "relu"
    """Between the two dense layers."""
    hidden_bias: bool = True
    """Whether the graph convolution has a bias, one a feature, before its ReLU."""
    band_norm: bool = False
    """Whether each band is normalised over the windows of a batch and the electrodes, before anything else."""
    sparse_l2: float = Field(0.01, ge=0, le=100)
    """Weight of the sum of the norms, which are not squared, of all learned tensors."""

    @property
    def uses_graph(self) -> bool:
        """Whether an electrode sees others."""
        return self.adjacency != "identity" and self.order > 1

    def unfit(self, channels: tuple[str, ...], classes: tuple[str, ...]) -> str | None:
        """Why it cannot be trained on these channels; None where it can."""
        if self.adjacency == "distance" and self.uses_graph:
            try:
                canonical_names(channels, "adjacency: distance")
            except SpecError as error:
                return str(error)
        return None
