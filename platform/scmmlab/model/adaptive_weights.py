"""Adaptive loss weights: the two losses added with weights learned by uncertainty."""

from __future__ import annotations

import torch
from torch import Tensor

from scmmlab.model.settings import Settings


def total_loss(contrast_R: Tensor, reconstruction_R: Tensor, params_R2: Tensor, settings: Settings) -> Tensor:
    """L = Σ_m L_m / (2 c_m²) + log(1 + c_m²) over the losses that take part, or their fixed-weight sum, [R]."""
    total = torch.zeros_like(contrast_R)
    for loss, enabled, fixed, c in (
        (contrast_R, settings.contrast_R, settings.contrast_weight_R, params_R2[:, 0]),
        (reconstruction_R, settings.reconstruct_R, settings.reconstruction_weight_R, params_R2[:, 1]),
    ):
        square = c.square()
        adaptive = loss / (2 * square) + torch.log1p(square)
        total = total + torch.where(enabled, torch.where(settings.adaptive_R, adaptive, fixed * loss), 0.0)
    return total
