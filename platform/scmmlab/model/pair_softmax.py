"""One softmax over all pairs of rows, for both the contrastive loss and the aggregator.

Legend: R replica, D width, N row of this worker, J row of any worker.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from scmmlab.model.aggregator import keep_top_k, restricts, softmax_gradient
from scmmlab.model.contrast import add_contrast_gradient, contrast_sum


def row_softmax(s_RNJ: Tensor, first_row: int) -> tuple[Tensor, Tensor]:
    """Softmax of rows, each without itself, and log Σ exp s, [R, N, 1]; the row's maximum is taken off s in place."""
    # finite, so that a weight of 0 times it is 0
    s_RNJ.diagonal(first_row, 1, 2).fill_(torch.finfo(s_RNJ.dtype).min / 2)
    s_RNJ.sub_(s_RNJ.amax(-1, keepdim=True))
    p = s_RNJ.exp()
    total = p.sum(-1, keepdim=True)
    return p.div_(total), total.log()


class _PairSoftmax(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, z_RDN: Tensor, others_RDJ: Tensor, w_RNJ: Tensor | None, top_k: Sequence[int | None], first_row: int
    ) -> tuple[Tensor, Tensor]:
        s = torch.bmm(z_RDN.transpose(1, 2), others_RDJ)
        p, lse = row_softmax(s, first_row)
        contrast = s.new_zeros(s.shape[0]) if w_RNJ is None else contrast_sum(s, lse, w_RNJ)
        kept = keep_top_k(p, s, top_k) if restricts(top_k, s.shape[-1]) else p
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(z_RDN, others_RDJ, w_RNJ, p, kept)
        return kept, contrast

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_kept: Tensor | None, d_contrast: Tensor | None) -> tuple[Tensor | None, ...]:
        z, others, w, p, kept = ctx.saved_tensors
        g = torch.zeros_like(p) if d_kept is None else softmax_gradient(d_kept, kept)
        if w is not None and d_contrast is not None:
            add_contrast_gradient(g, p, w, d_contrast)
        # s = zᵀ z': ∂L/∂z = z' ∂L/∂sᵀ, ∂L/∂z' = z ∂L/∂s
        return torch.bmm(others, g.transpose(1, 2)), torch.bmm(z, g), None, None, None


def pair_softmax(
    z_RDN: Tensor, others_RDJ: Tensor, w_RNJ: Tensor | None, top_k: Sequence[int | None], first_row: int = 0
) -> tuple[Tensor, Tensor]:
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

    Returns
    -------
    p : Tensor, shape=(R, N, J)
        The aggregator's weights.
    contrast : Tensor, shape=(R,)
        Σ −w_ij log softmax_j(s_i) over this worker's rows; 0 without weights.
    """
    return _PairSoftmax.apply(z_RDN, others_RDJ, w_RNJ, top_k, first_row)
