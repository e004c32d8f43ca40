"""The reconstruction loss: decoded embeddings against the input rows.

Legend: R replica, N row, F input number, E number of the embedding.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from scmmlab.model.parameters import Parameters


def decode(parameters: Parameters, h_REN: Tensor) -> Tensor:
    """Decoded rows [R, N, F] of embeddings [R, E, N].

    The decoder is linear and aggregation weights sum to 1, so to decode first and aggregate then, Σ_j p_ij (W h_j + b),
    equals the published order, W Σ_j p_ij h_j + b, and aggregates F = 5C numbers in place of 3D.
    """
    columns = torch.baddbmm(parameters["decoder.bias"].unsqueeze(-1), parameters["decoder.weight"], h_REN)
    return columns.transpose(1, 2)


class _SquaredError(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, decoded_RNF: Tensor, x_RNF: Tensor) -> Tensor:
        error = decoded_RNF - x_RNF
        ctx.save_for_backward(error)
        return torch.linalg.vector_norm(error, dim=(1, 2)).square_()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_R: Tensor) -> tuple[Tensor, None]:
        (error,) = ctx.saved_tensors
        return error * (2 * grad_R[:, None, None]), None


def squared_error(decoded_RNF: Tensor, x_RNF: Tensor) -> Tensor:
    """Σ (decoded − x)² over a replica's rows, [R]; masked rows are compared with their masked selves."""
    return _SquaredError.apply(decoded_RNF, x_RNF)
