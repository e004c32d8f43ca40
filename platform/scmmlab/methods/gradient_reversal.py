"""Gradient reversal: the same numbers forward, the gradient times −β backward (Ganin & Lempitsky 2015)."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor


class _Reversal(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, beta: float) -> Tensor:
        ctx.beta = beta
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return -ctx.beta * gradients[0], None


def reverse_gradient(x: Tensor, beta: float) -> Tensor:
    """`x`, whose gradient will be that of what follows times −β."""
    reversed_x: Tensor = _Reversal.apply(x, beta)  # type: ignore[no-untyped-call]
    return reversed_x


def reversal_strength(progress: float) -> float:
    """β = 2 / (1 + e^{−10 p}) − 1, which rises from 0 to 1 with the progress p of the training."""
    return 2 / (1 + math.exp(-10 * progress)) - 1
