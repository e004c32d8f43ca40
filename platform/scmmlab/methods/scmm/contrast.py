"""The soft contrastive loss: a cross-entropy of the pair softmax against soft weights.

L_C = Σ_{i≠j} −w_ij log softmax_j(s_i) / (N (N − 1)), with s = z zᵀ / τ and the row itself outside the softmax.
Paper: arXiv 2408.09186, soft contrastive learning.

Legend: R replica, N row of this worker, J row of any worker.
"""

from __future__ import annotations

import torch
from torch import Tensor


def weighed_similarities(s_RNJ: Tensor, w_RNJ: Tensor) -> Tensor:
    """Σ_ij w_ij s_ij, [R]: a product of one row and one column, which writes no array."""
    return torch.bmm(w_RNJ.flatten(1).unsqueeze(1), s_RNJ.flatten(1).unsqueeze(2)).flatten()


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
