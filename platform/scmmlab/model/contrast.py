"""The soft contrastive loss."""

from __future__ import annotations

import torch
from torch import Tensor


def contrastive_loss(log_p_RNJ: Tensor, w_RNJ: Tensor) -> Tensor:
    """Σ −w_ij log p_ij of the local rows; diagonals hold 0 weight."""
    return torch.where(w_RNJ > 0, -w_RNJ * log_p_RNJ, 0.0).sum((1, 2))
