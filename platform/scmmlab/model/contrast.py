"""The soft contrastive loss: a cross-entropy of the pair softmax against soft weights.

L_C = Σ_{i≠j} −w_ij log softmax_j(s_i) / (N (N − 1)), with s = z zᵀ / τ and the row itself outside the softmax.
Paper: arXiv 2408.09186, soft contrastive learning.

Legend: R replica, N row of this worker, J row of any worker.
"""

from __future__ import annotations

import torch
from torch import Tensor


def contrast_sum(s_RNJ: Tensor, lse_RN1: Tensor, w_RNJ: Tensor, w_sum_RN1: Tensor) -> Tensor:
    """Σ_ij w_ij (lse_i − s_ij), [R].

    Parameters
    ----------
    s_RNJ : Tensor
        Similarities less the greatest of their row, so both terms are sums of numbers of one sign and nothing cancels.
    lse_RN1 : Tensor
        log Σ_j exp s_ij.
    w_RNJ : Tensor
        Weights, 0 for a row with itself.
    w_sum_RN1 : Tensor
        W_i = Σ_j w_ij.
    """
    # a product of one row and one column, which writes no array
    weighed_R11 = torch.bmm(w_RNJ.flatten(1).unsqueeze(1), s_RNJ.flatten(1).unsqueeze(2))
    return (w_sum_RN1 * lse_RN1).sum((1, 2)) - weighed_R11.flatten()
