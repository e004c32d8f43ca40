"""The aggregator's weights: each row is rebuilt from the batch's others, or from the k most similar of them.

h^r_i = Σ_j p_ij h_j, p the softmax of the similarities s_i without the row itself. Paper: arXiv 2408.09186, aggregator.

Legend: R replica, N row of this worker, J row of any worker.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor


def restricts(top_k: Sequence[int | None], rows: int) -> bool:
    """Whether any replica's k leaves one of the `rows` − 1 others out."""
    return any(k is not None and k < rows - 1 for k in top_k)


def keep_top_k(p_RNJ: Tensor, s_RNJ: Tensor, top_k: Sequence[int | None]) -> Tensor:
    """The softmax over the k most similar rows alone: p where s_ij ≥ the row's k-th greatest, divided by its sum.

    Ties stay, all of them. The choice is a constant for the gradient: what stays is a softmax of its own.

    Parameters
    ----------
    p_RNJ, s_RNJ : Tensor
        Softmax and similarities; a row with itself has p = 0 and the least s.
    top_k : sequence of int or None
        k of each replica; None, or a k that reaches all others, is the published softmax, unchanged.
    """
    rows = s_RNJ.shape[-1]
    kept = p_RNJ.clone()
    for r, k in enumerate(top_k):
        if k is None or k >= rows - 1:
            continue
        # from whichever end is nearer: the cost of topk grows with its k
        if 2 * k <= rows:
            least = s_RNJ[r].topk(k, dim=-1, sorted=False).values.amin(-1, keepdim=True)
        else:
            least = s_RNJ[r].topk(rows - k + 1, dim=-1, largest=False, sorted=False).values.amax(-1, keepdim=True)
        kept[r] *= s_RNJ[r] >= least
        kept[r] /= kept[r].sum(-1, keepdim=True)
    return kept
