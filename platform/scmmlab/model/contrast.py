"""The soft contrastive loss: a cross-entropy of the pair softmax against soft weights.

L_C = Σ_{i≠j} −w_ij log softmax_j(s_i) / (N (N − 1)), with s = z zᵀ / τ and the row itself outside the softmax.
Paper: arXiv 2408.09186, soft contrastive learning.

Legend: R replica, N row of this worker, J row of any worker.
"""

from __future__ import annotations

from torch import Tensor


def contrast_sum(s_RNJ: Tensor, lse_RN1: Tensor, w_RNJ: Tensor) -> Tensor:
    """Σ_ij w_ij (lse_i − s_ij), [R].

    Parameters
    ----------
    s_RNJ : Tensor
        Similarities less the greatest of their row, so both terms are sums of numbers of one sign and nothing cancels.
    lse_RN1 : Tensor
        log Σ_j exp s_ij.
    w_RNJ : Tensor
        Weights, 0 for a row with itself.
    """
    return (w_RNJ.sum(-1, keepdim=True) * lse_RN1).sum((1, 2)) - (w_RNJ * s_RNJ).sum((1, 2))


def add_contrast_gradient(g_RNJ: Tensor, p_RNJ: Tensor, w_RNJ: Tensor, upstream_R: Tensor) -> None:
    """Add κ ∂/∂s of `contrast_sum` to `g_RNJ`: κ (W_i p_ij − w_ij), with W_i = Σ_j w_ij and κ from above."""
    upstream = upstream_R[:, None, None]
    g_RNJ.addcmul_(p_RNJ, w_RNJ.sum(-1, keepdim=True) * upstream).addcmul_(w_RNJ, -upstream)
