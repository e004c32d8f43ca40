"""The classifier on an embedding: linear, sigmoid, linear.

Legend: R replica, N row, E number of the embedding, H hidden unit, K class.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from scmmlab.model.parameters import Parameters


class _Classifier(torch.autograd.Function):
    """logits = W₂ σ(W₁ h + b₁) + b₂ with rows last throughout, as the encoder has them and wants its gradient."""

    @staticmethod
    def forward(ctx: Any, h_REN: Tensor, w1_RHE: Tensor, b1_RH: Tensor, w2_RKH: Tensor, b2_RK: Tensor) -> Tensor:
        u = torch.baddbmm(b1_RH.unsqueeze(-1), w1_RHE, h_REN).sigmoid_()
        ctx.save_for_backward(h_REN, w1_RHE, w2_RKH, u)
        return torch.baddbmm(b2_RK.unsqueeze(-1), w2_RKH, u)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_RKN: Tensor) -> tuple[Tensor | None, ...]:
        h, w1, w2, u = ctx.saved_tensors
        # σ' = σ (1 − σ)
        da = torch.bmm(w2.transpose(1, 2), grad_RKN).mul_(u).mul_(1 - u)
        dh = torch.bmm(w1.transpose(1, 2), da) if ctx.needs_input_grad[0] else None
        d_w1, d_w2 = torch.bmm(da, h.transpose(1, 2)), torch.bmm(grad_RKN, u.transpose(1, 2))
        return dh, d_w1, da.sum(-1), d_w2, grad_RKN.sum(-1)


def classify_embedding(parameters: Parameters, h_REN: Tensor) -> Tensor:
    """Class logits [R, K, N] of embeddings [R, E, N]."""
    names = ("fc.weight", "fc.bias", "classifier.weight", "classifier.bias")
    logits: Tensor = _Classifier.apply(h_REN, *(parameters[name] for name in names))
    return logits
