"""One softmax over all pairs of rows, for both the contrastive loss and the aggregator.

Legend: R replica, D width, N row of this worker, J row of any worker.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from scmmlab.methods.scmm.aggregator import keep_top_k, restricts
from scmmlab.methods.scmm.contrast import contrast_sum, hide_copies, weighed_similarities


def shift_rows(s_RNJ: Tensor, first_row: int) -> None:
    """Take each row's greatest similarity off it, in place; a row's own with itself, which is none, becomes least.

    A softmax is the same, and no exponential overflows.
    """
    # finite, so that a weight of 0 times it is 0; half of the least, so that it still is when the greatest is off
    s_RNJ.diagonal(first_row, 1, 2).fill_(torch.finfo(s_RNJ.dtype).min / 2)
    s_RNJ.sub_(s_RNJ.amax(-1, keepdim=True))


class Pairs(NamedTuple):
    """What the comparison of all pairs leaves behind."""

    kept_RNJ: Tensor
    """The aggregator's weights."""
    contrast_R: Tensor
    """Σ −w_ij log softmax_j(s_i) over this worker's rows; 0 without weights."""
    p_RNJ: Tensor
    """The softmax; `kept_RNJ` itself where the aggregator keeps all rows."""
    w_RNJ: Tensor | None
    w_sum_RN1: Tensor | None


def pair_softmax(
    z_RDN: Tensor,
    others_RDJ: Tensor,
    w_RNJ: Tensor | None,
    top_k: Sequence[int | None],
    first_row: int = 0,
    hidden_copies: int = 0,
) -> Pairs:
    """Aggregation weights and contrastive sum of s = zᵀ z'.

    Parameters
    ----------
    z_RDN : Tensor, shape=(R, D, N)
        This worker's projections, divided by the temperature.
    others_RDJ : Tensor, shape=(R, D, J)
        All workers' projections.
    w_RNJ : Tensor, shape=(R, N, J), or None
        Weights of the contrastive loss, a constant; None when no replica needs it.
    top_k : sequence of int or None
        Rows that each replica's aggregator keeps.
    first_row : int
        Column of this worker's first row.
    hidden_copies : int
        Where rows are compared with windows alone: copies of each worker, which follow its windows; else 0.
    """
    s = torch.bmm(z_RDN.transpose(1, 2), others_RDJ)
    if hidden_copies:
        hide_copies(s, hidden_copies)
    shift_rows(s, first_row)
    restricted = restricts(top_k, s.shape[-1])
    # before the exponentials take their place: what is written over stays in the cache
    weighed = None if w_RNJ is None else weighed_similarities(s, w_RNJ)
    p = s.exp() if restricted else s.exp_()
    total = p.sum(-1, keepdim=True)
    kept = p.div_(total)
    if restricted:
        kept = keep_top_k(p, s, top_k)
    if w_RNJ is None or weighed is None:
        return Pairs(kept, s.new_zeros(s.shape[0]), p, None, None)
    w_sum = w_RNJ.sum(-1, keepdim=True)
    return Pairs(kept, contrast_sum(weighed, total.log(), w_sum), p, w_RNJ, w_sum)


def pair_gradient(d_kept_RNJ: Tensor | None, d_contrast_R: Tensor, pairs: Pairs) -> Tensor:
    """∂L/∂s, from the gradients of the aggregator's weights, which are overwritten, and of the contrastive sum.

    A softmax p sends p ⊙ (∂L/∂p − Σ_j ∂L/∂p_ij p_ij) back, and with κ the gradient of the contrastive sum that sum
    sends κ (W_i p − w).
    """
    own_RN1 = None
    if d_kept_RNJ is None:
        g = torch.zeros_like(pairs.p_RNJ)
    else:
        g = d_kept_RNJ.mul_(pairs.kept_RNJ)
        own_RN1 = g.sum(-1, keepdim=True).neg_()
        if pairs.kept_RNJ is not pairs.p_RNJ:
            g.addcmul_(pairs.kept_RNJ, own_RN1)
            own_RN1 = None
    if pairs.w_RNJ is not None and pairs.w_sum_RN1 is not None:
        upstream_R11 = d_contrast_R[:, None, None]
        g.addcmul_(pairs.w_RNJ, -upstream_R11)
        weighed_RN1 = pairs.w_sum_RN1 * upstream_R11
        own_RN1 = weighed_RN1 if own_RN1 is None else own_RN1.add_(weighed_RN1)
    return g if own_RN1 is None else g.addcmul_(pairs.p_RNJ, own_RN1)
