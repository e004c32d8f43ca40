"""How the two losses are added: with weights learned by uncertainty, or with fixed ones.

L = Σ_m L_m / (2 c_m²) + log(1 + c_m²), c_m learned (Kendall et al. 2018, in the form of Liebel & Körner 2018).
"""

from __future__ import annotations

import torch
from torch import Tensor

from scmmlab.model.settings import Settings


def total_loss(
    contrast_R: Tensor, reconstruction_R: Tensor, c_R2: Tensor, settings: Settings, share: float = 1.0
) -> Tensor:
    """The sum of the losses that take part, [R]; the c of one that does not gets no gradient.

    Parameters
    ----------
    contrast_R, reconstruction_R : Tensor, shape=(R,)
        The losses, or a worker's part of them.
    c_R2 : Tensor, shape=(R, 2)
        The learned c of both.
    settings : Settings
        Which losses take part, and how they are weighed.
    share : float
        Part of the terms without a loss, log(1 + c²), that this worker adds: 1 over the number of workers.
    """
    loss_R2 = torch.stack((contrast_R, reconstruction_R), dim=1)
    square_R2 = c_R2.square()
    adaptive_R2 = loss_R2 / (2 * square_R2) + share * square_R2.log1p()
    fixed_R2 = loss_R2 * settings.fixed_weight_R2
    weighted_R2 = torch.where(settings.adaptive_R.unsqueeze(1), adaptive_R2, fixed_R2)
    return torch.where(settings.loss_R2, weighted_R2, 0.0).sum(1)
