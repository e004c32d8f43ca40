"""``MaxPool1d(2, 2, padding 1)`` of signals whose points stand from last to first, and its gradient.

The first point is alone, then come pairs, then the last is alone if it is left over.

Legend: R replica, O feature, T point before pooling (from last to first), P point after it (from first to last), N row.
"""

from __future__ import annotations

import torch
from torch import Tensor

from scmmlab.model.shape import pooled_length


def _sources(points: int) -> list[tuple[int, int | None]]:
    """For each pooled point, where its one or two points stand."""
    last = points - 1
    pairs = [(last - p, last - p - 1) for p in range(1, last, 2)]
    alone: list[tuple[int, int | None]] = [(0, None)] if points % 2 == 0 else []
    sources = [(last, None), *pairs, *alone]
    assert len(sources) == pooled_length(points)
    return sources


def max_pool(u_ROTN: Tensor, pooled_ROPN: Tensor) -> None:
    """Write the pooled signals to `pooled_ROPN`, in any memory order."""
    u, pooled = u_ROTN.unbind(2), pooled_ROPN.unbind(2)
    for out, (first, second) in zip(pooled, _sources(len(u)), strict=True):
        if second is None:
            out.copy_(u[first])
        else:
            torch.maximum(u[first], u[second], out=out)


def max_pool_gradient(grad_ROPN: Tensor, u_ROTN: Tensor) -> Tensor:
    """∂L/∂u from the gradient of the pooled: the greater of a pair has it, the first where they are equal."""
    du_ROTN = torch.empty_like(u_ROTN)
    u, du = u_ROTN.unbind(2), du_ROTN.unbind(2)
    for grad, (first, second) in zip(grad_ROPN.unbind(2), _sources(len(u)), strict=True):
        if second is None:
            du[first].copy_(grad)
        else:
            # the kernel of ReLU's gradient keeps `grad` where a number is above 0, in a fraction of a choice's time
            torch.ops.aten.threshold_backward.grad_input(grad, u[second] - u[first], 0, grad_input=du[second])
            torch.sub(grad, du[second], out=du[first])
    return du_ROTN
