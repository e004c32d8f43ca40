"""The reconstruction loss: decoded embeddings against the input rows.

Legend: R replica, N row, F input number, E number of the embedding.
"""

from __future__ import annotations

import torch
from torch import Tensor

from scmmlab.replica.matmul import FLOAT32, Matmul
from scmmlab.replica.parameters import Parameters


def decode(parameters: Parameters, h_REN: Tensor, matmul: Matmul = FLOAT32) -> Tensor:
    """Decoded rows [R, N, F] of embeddings [R, E, N], which are an operand of `matmul`.

    The decoder is linear and aggregation weights sum to 1, so to decode first and aggregate then, Σ_j p_ij (W h_j + b),
    equals the published order, W Σ_j p_ij h_j + b, and aggregates F = 5C numbers in place of 3D.
    """
    weight = matmul.operand(parameters["decoder.weight"])
    columns = matmul.baddbmm(parameters["decoder.bias"].unsqueeze(-1), weight, h_REN)
    return columns.transpose(1, 2)


def decode_backward(grad_RFN: Tensor, parameters: Parameters, h_REN: Tensor, matmul: Matmul = FLOAT32) -> Tensor:
    """The gradient of the embeddings, from that of the decoded rows, rows last; the decoder's is written beside it."""
    gradients = parameters.gradients
    torch.sum(grad_RFN, -1, out=gradients["decoder.bias"])
    grad_RFN = matmul.operand(grad_RFN)
    matmul.bmm(grad_RFN, h_REN.transpose(1, 2), gradients["decoder.weight"])
    return matmul.bmm(matmul.operand(parameters["decoder.weight"]).transpose(1, 2), grad_RFN)


def squared_error(decoded_RNF: Tensor, x_RNF: Tensor) -> tuple[Tensor, Tensor]:
    """Σ (decoded − x)² over a replica's rows, [R], and decoded − x, of which twice is the gradient.

    `decoded_RNF` is overwritten; masked rows are compared with their masked selves.
    """
    error = decoded_RNF.sub_(x_RNF)
    return torch.linalg.vector_norm(error, dim=(1, 2)).square_(), error
