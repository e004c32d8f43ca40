"""The aggregator: each row rebuilt from the batch's others by similarity."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def aggregation_weights(s_RNJ: Tensor, top_k: Sequence[int | None]) -> Tensor:
    """Softmax of each row over its k greatest similarities; the row itself is −inf in `s_RNJ`."""
    others = s_RNJ.shape[-1] - 1
    if any(k is not None and k < others for k in top_k):
        s_RNJ = s_RNJ.clone()
        for r, k in enumerate(top_k):
            if k is not None and k < others:
                least = s_RNJ[r].detach().topk(k, dim=-1).values[:, -1:]
                s_RNJ[r] = s_RNJ[r].masked_fill(s_RNJ[r] < least, -torch.inf)
    return s_RNJ.softmax(-1)
