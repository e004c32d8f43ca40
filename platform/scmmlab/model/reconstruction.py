"""The reconstruction loss: decoded embeddings against the input rows."""

from __future__ import annotations

from torch import Tensor


def reconstruction_loss(decoded_RNF: Tensor, x_RNF: Tensor) -> Tensor:
    """Mean squared error of each replica's rows, [R]."""
    return (decoded_RNF - x_RNF).square().mean((1, 2))
