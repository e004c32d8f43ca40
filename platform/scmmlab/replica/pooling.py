"""``MaxPool1d(2, 2, padding 1)`` and its gradient, in place.

The first point is alone, then come pairs, then the last is alone if it is left over. Points lie in an order of which
pooling touches little: first those alone and the first of each pair, as what is pooled of them stands in the pooled
signal, then the second of each pair.

Legend: R replica, O feature, T point before pooling, in that order, P point after it, N row.
"""

from __future__ import annotations

import torch
from torch import Tensor


def pooled_length(points: int) -> int:
    """Points after max-pooling by 2 with padding 1."""
    return points // 2 + 1


def pooling_order(points: int) -> list[int]:
    """The points of a signal in the order that pooling wants: 0, 1, 3, 5 … and then 2, 4 …"""
    return [0, *range(1, points, 2), *range(2, points, 2)]


def _pairs(signal_ROTN: Tensor) -> tuple[Tensor, Tensor]:
    """The first and the second points of the pairs."""
    points = signal_ROTN.shape[2]
    pooled = pooled_length(points)
    return signal_ROTN[:, :, 1 : 1 + points - pooled], signal_ROTN[:, :, pooled:]


def max_pool(u_ROTN: Tensor) -> tuple[Tensor, Tensor]:
    """The pooled signal, a view [R, O, P, N] of `u_ROTN`, which is overwritten, and by how much each pair rises."""
    first, second = _pairs(u_ROTN)
    rise = second - first
    torch.maximum(first, second, out=first)
    return u_ROTN[:, :, : pooled_length(u_ROTN.shape[2])], rise


def max_pool_gradient(du_ROTN: Tensor, rise: Tensor) -> None:
    """Make ∂L/∂u of the gradient of the pooled signal, which stands in the first P points of `du_ROTN`.

    The greater of a pair has it, the first where they are equal.
    """
    first, second = _pairs(du_ROTN)
    # the kernel of ReLU's gradient keeps `first` where a number is above 0, in a fraction of a choice's time
    torch.ops.aten.threshold_backward.grad_input(first, rise, 0, grad_input=second)
    first.sub_(second)
