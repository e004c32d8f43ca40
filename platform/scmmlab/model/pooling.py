"""``MaxPool1d(2, 2, padding 1)`` and its gradient.

The first point is alone, then come pairs, then the last is alone if it is left over.

Legend: R replica, O feature, T point before pooling, P point after it, N row.
"""

from __future__ import annotations

import torch
from torch import Tensor


def _alone(signal: Tensor, points: int) -> Tensor:
    """Of a signal before or after pooling, the points that are not in pairs (or what became of them)."""
    return signal[:, :, :: signal.shape[2] - 1] if points % 2 == 0 else signal[:, :, :1]


def _pairs(signal_ROTN: Tensor) -> tuple[Tensor, Tensor]:
    """The first and the second points of the pairs."""
    end = (signal_ROTN.shape[2] + 1) // 2 * 2 - 1
    return signal_ROTN[:, :, 1:end:2], signal_ROTN[:, :, 2:end:2]


def max_pool(u_ROTN: Tensor, pooled_ROPN: Tensor) -> None:
    """Write the pooled signals to `pooled_ROPN`, in any memory order."""
    points = u_ROTN.shape[2]
    first, second = _pairs(u_ROTN)
    _alone(pooled_ROPN, points).copy_(_alone(u_ROTN, points))
    torch.maximum(first, second, out=pooled_ROPN[:, :, 1 : 1 + first.shape[2]])


def max_pool_gradient(grad_ROPN: Tensor, u_ROTN: Tensor) -> Tensor:
    """∂L/∂u from the gradient of the pooled: the greater of a pair has it, the first where they are equal."""
    points = u_ROTN.shape[2]
    du_ROTN = torch.empty_like(u_ROTN)
    (first, second), (du_first, du_second) = _pairs(u_ROTN), _pairs(du_ROTN)
    _alone(du_ROTN, points).copy_(_alone(grad_ROPN, points))
    grad = grad_ROPN[:, :, 1 : 1 + first.shape[2]]
    # the kernel of ReLU's gradient keeps `grad` where a number is above 0, in a fraction of a choice's time
    torch.ops.aten.threshold_backward.grad_input(grad, second - first, 0, grad_input=du_second)
    torch.sub(grad, du_second, out=du_first)
    return du_ROTN
