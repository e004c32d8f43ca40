"""The classifier on an embedding: linear, sigmoid, linear; forward, and its gradient in closed form.

Rows are last throughout, as the encoder has them and wants its gradient.

Legend: R replica, N row, E number of the embedding, H hidden unit, K class.
"""

from __future__ import annotations

import torch
from torch import Tensor

from scmmlab.replica.matmul import FLOAT32, Matmul
from scmmlab.replica.parameters import Parameters

Weights = tuple[Tensor, Tensor, Tensor, Tensor]
"""W₁ [R, H, E], b₁ [R, H], W₂ [R, K, H], b₂ [R, K]."""


NAMES = "fc.weight", "fc.bias", "classifier.weight", "classifier.bias"


def classifier_weights(parameters: Parameters) -> Weights:
    """Both layers' weights, by `NAMES`."""
    w1, b1, w2, b2 = (parameters[name] for name in NAMES)
    return w1, b1, w2, b2


def classifier_forward(weights: Weights, h_REN: Tensor, matmul: Matmul = FLOAT32) -> tuple[Tensor, Tensor]:
    """Class logits W₂ u + b₂, [R, K, N], and the hidden units u = σ(W₁ h + b₁), [R, H, N].

    h is an operand of `matmul`, which multiply by W₁; the product by the small W₂ is always exact.
    """
    w1, b1, w2, b2 = weights
    u_RHN = matmul.baddbmm(b1.unsqueeze(-1), matmul.operand(w1), h_REN).sigmoid_()
    return torch.baddbmm(b2.unsqueeze(-1), w2, u_RHN), u_RHN


def classifier_backward(
    grad_RKN: Tensor, parameters: Parameters, h_REN: Tensor, u_RHN: Tensor, matmul: Matmul = FLOAT32
) -> Tensor:
    """The gradient of the embedding, from that of the logits; the weights' are written to `parameters.gradients`."""
    w1, _, w2, _ = classifier_weights(parameters)
    d_w1, d_b1, d_w2, d_b2 = (parameters.gradients[name] for name in NAMES)
    # σ' = σ (1 − σ)
    da_RHN = torch.bmm(w2.transpose(1, 2), grad_RKN).mul_(u_RHN).mul_(1 - u_RHN)
    torch.sum(da_RHN, -1, out=d_b1)
    da_RHN = matmul.operand(da_RHN)
    matmul.bmm(da_RHN, h_REN.transpose(1, 2), d_w1)
    torch.bmm(grad_RKN, u_RHN.transpose(1, 2), out=d_w2)
    torch.sum(grad_RKN, -1, out=d_b2)
    return matmul.bmm(matmul.operand(w1).transpose(1, 2), da_RHN)
