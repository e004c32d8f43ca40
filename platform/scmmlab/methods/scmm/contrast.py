"""The soft contrastive loss: a cross-entropy of the pair softmax against soft weights.

L_C = Σ_{i≠j} −w_ij log softmax_j(s_i) / (N (N − 1)), with s = z zᵀ / τ and the row itself outside the softmax. Other
similarities, weights and divisors make it the losses that it descends from (`docs/methods/scmm-family.md`).
Paper: arXiv 2408.09186, soft contrastive learning.

Legend: R replica, N row of this worker, J row of any worker.
"""

from __future__ import annotations

import torch
from torch import Tensor

from scmmlab.methods.scmm.augmentation import Mixture
from scmmlab.methods.scmm.pack_settings import NORMALISERS, PackSettings
from scmmlab.replica.collectives import Collectives


def weighed_similarities(s_RNJ: Tensor, w_RNJ: Tensor) -> Tensor:
    """Σ_ij w_ij s_ij, [R]: a product of one row and one column, which writes no array."""
    return torch.bmm(w_RNJ.flatten(1).unsqueeze(1), s_RNJ.flatten(1).unsqueeze(2)).flatten()


def mixture_weights(mixture: Mixture, copies: int, group: Collectives) -> Tensor:
    """Weights of copies that are mixed of two windows, [R, N, J]: λ for their own window and 1 − λ for the other.

    Parameters
    ----------
    mixture : Mixture
        Of the whole batch.
    copies : int
        Windows of this worker, each with one copy; rows are windows, then copies.
    group : Collectives
        The workers of the batch; in columns each one's windows are followed by its copies.
    """
    replicas, windows = mixture.partner_RB.shape
    own = torch.arange(group.rank * copies, (group.rank + 1) * copies, device=mixture.partner_RB.device)

    def column(window: Tensor) -> Tensor:
        return window + window.div(copies, rounding_mode="floor") * copies

    share_RM1 = mixture.share_R[:, None, None].expand(-1, copies, 1)
    w_RMJ = share_RM1.new_zeros(replicas, copies, 2 * windows)
    w_RMJ.scatter_(2, column(own).expand(replicas, -1).unsqueeze(2), share_RM1)
    # a window may be its own partner, which then has both shares
    w_RMJ.scatter_add_(2, column(mixture.partner_RB[:, own]).unsqueeze(2), 1 - share_RM1)
    return torch.cat((torch.zeros_like(w_RMJ), w_RMJ), 1)


def hide_copies(s_RNJ: Tensor, copies: int) -> None:
    """Take copies out of the columns of similarities, in place: rows are then compared with windows alone."""
    s_RNJ.unflatten(2, (-1, 2, copies))[:, :, :, 1].fill_(torch.finfo(s_RNJ.dtype).min / 2)


def weight_mass(w_sum_RN1: Tensor | None, settings: PackSettings, group: Collectives) -> Tensor | None:
    """The sum of all workers' weights, [R], from Σ_j w_ij; None where no replica is divided by it."""
    if "weight_mass" not in settings.normalisers or w_sum_RN1 is None:
        return None
    # 0 where no two rows attract one another; then the loss's sum is 0 too
    return group.sum(w_sum_RN1.sum((1, 2))).clamp_(min=torch.finfo(w_sum_RN1.dtype).tiny)


def normalised(sum_R: Tensor, mass_R: Tensor | None, rows: int, settings: PackSettings) -> Tensor:
    """The loss of a sum over pairs, or what a gradient is divided by alike, [R].

    Divided by N (N − 1), by N, or by the sum of all weights: with weights of views alone and two rows a window the
    latter two are the NT-Xent loss (Chen et al. 2020).

    Parameters
    ----------
    sum_R : Tensor
        The sum, or this worker's part of it.
    mass_R : Tensor or None
        From `weight_mass`.
    rows : int
        N, of all workers.
    settings : PackSettings
        Which replicas are divided by what.
    """
    loss_R = sum_R / (rows * (rows - 1))
    if "rows" in settings.normalisers:
        loss_R = torch.where(settings.normaliser_R == NORMALISERS.index("rows"), sum_R / rows, loss_R)
    if mass_R is not None:
        loss_R = torch.where(settings.normaliser_R == NORMALISERS.index("weight_mass"), sum_R / mass_R, loss_R)
    return loss_R


def contrast_sum(weighed_R: Tensor, lse_RN1: Tensor, w_sum_RN1: Tensor) -> Tensor:
    """Σ_ij w_ij (lse_i − s_ij), [R].

    Parameters
    ----------
    weighed_R : Tensor
        Σ_ij w_ij s_ij, where the greatest similarity of each row was taken off it, so that both terms are sums of
        numbers of one sign and nothing cancels.
    lse_RN1 : Tensor
        log Σ_j exp s_ij.
    w_sum_RN1 : Tensor
        Σ_j w_ij.
    """
    return (w_sum_RN1 * lse_RN1).sum((1, 2)) - weighed_R
