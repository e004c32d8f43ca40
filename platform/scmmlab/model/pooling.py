"""``MaxPool1d(2, 2, padding 1)`` of signals whose points stand from last to first, and its gradient.

The first point is alone, then come pairs, then the last is alone if it is left over.

Legend: R replica, O feature, T point before pooling (from last to first), P point after it (from first to last), N row.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from scmmlab.model.shape import pooled_length


def _sources(points: int) -> Iterator[tuple[int, int | None]]:
    """For each pooled point, where its one or two points stand."""
    for pooled in range(pooled_length(points)):
        first, second = 2 * pooled - 1, 2 * pooled
        if pooled == 0:
            yield points - 1, None
        elif second == points:
            yield points - 1 - first, None
        else:
            yield points - 1 - first, points - 1 - second


def max_pool(u_ROTN: Tensor, pooled_ROPN: Tensor) -> None:
    """Write the pooled signals to `pooled_ROPN`, in any memory order."""
    for pooled, (first, second) in enumerate(_sources(u_ROTN.shape[2])):
        if second is None:
            pooled_ROPN[:, :, pooled] = u_ROTN[:, :, first]
        else:
            torch.maximum(u_ROTN[:, :, first], u_ROTN[:, :, second], out=pooled_ROPN[:, :, pooled])


def max_pool_gradient(grad_ROPN: Tensor, u_ROTN: Tensor) -> Tensor:
    """∂L/∂u from the gradient of the pooled: the greater of a pair has it, the first where they are equal."""
    grad_ROTN = torch.empty_like(u_ROTN)
    for pooled, (first, second) in enumerate(_sources(u_ROTN.shape[2])):
        grad = grad_ROPN[:, :, pooled]
        if second is None:
            grad_ROTN[:, :, first] = grad
            continue
        # the kernel of ReLU's gradient keeps `grad` where a number is above 0, in a fraction of a choice's time
        to_second = torch.ops.aten.threshold_backward(grad, u_ROTN[:, :, second] - u_ROTN[:, :, first], 0)
        grad_ROTN[:, :, second] = to_second
        torch.sub(grad, to_second, out=grad_ROTN[:, :, first])
    return grad_ROTN
