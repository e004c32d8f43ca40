"""How the two losses are added: with weights learned by uncertainty, or with fixed ones.

L = Σ_m L_m / (2 c_m²) + log(1 + c_m²), c_m learned (Kendall et al. 2018, in the form of Liebel & Körner 2018).

Legend: R replica, 2 the losses m: contrast, reconstruction.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from scmmlab.methods.scmm.pack_settings import PackSettings


class WeighedLosses(NamedTuple):
    """The sum of the losses, and its gradients."""

    total_R: Tensor
    slope_R2: Tensor
    """∂L/∂L_m; 0 for a loss that takes no part."""
    d_c_R2: Tensor
    """∂L/∂c_m; 0 where c takes no part."""


def weigh(
    contrast_R: Tensor, reconstruction_R: Tensor, c_R2: Tensor, settings: PackSettings, share: float = 1.0
) -> WeighedLosses:
    """Add the losses that take part.

    Parameters
    ----------
    contrast_R, reconstruction_R : Tensor, shape=(R,)
        The losses, or a worker's part of them.
    c_R2 : Tensor, shape=(R, 2)
        The learned c of both.
    settings : PackSettings
        Which losses take part, and how they are weighed.
    share : float
        Part of the terms without a loss, log(1 + c²), that this worker adds: 1 over the number of workers.
    """
    loss_R2 = torch.stack((contrast_R, reconstruction_R), dim=1)
    square_R2 = c_R2.square()
    slope_R2 = torch.where(settings.learned_R2, 0.5 / square_R2, settings.fixed_weight_R2)
    total_R2 = loss_R2 * slope_R2
    # learned: L_m / (2 c²) + log(1 + c²), whose slope in c is 2c / (1 + c²) − L_m / c³
    total_R2 += torch.where(settings.learned_R2, share * square_R2.log1p(), 0.0)
    d_c_R2 = 2 * share * c_R2 / (1 + square_R2) - loss_R2 / (square_R2 * c_R2)
    return WeighedLosses(
        torch.where(settings.loss_R2, total_R2, 0.0).sum(1),
        torch.where(settings.loss_R2, slope_R2, 0.0),
        torch.where(settings.learned_R2, d_c_R2, 0.0),
    )
