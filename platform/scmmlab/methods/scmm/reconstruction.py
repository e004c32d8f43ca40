"""The reconstruction loss: decoded embeddings against the input rows.

Legend: R replica, N row, F input number, E number of the embedding.
"""

from __future__ import annotations

import torch
from torch import Tensor

from scmmlab.methods.scmm.pack_settings import PackSettings
from scmmlab.replica.collectives import SINGLE_PROCESS, Collectives
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


def targets(x_RBCF: Tensor, rows_RNF: Tensor, settings: PackSettings) -> Tensor:
    """What each row is asked for, [R, N, F]: itself, or the window that it is a copy of."""
    if not settings.any_original_target:
        return rows_RNF
    originals = x_RBCF.flatten(2).repeat(1, settings.rows_per_window, 1)
    return torch.where(settings.original_target_R[:, None, None], originals, rows_RNF)


def counted_values(keep_RMCF: Tensor | None, settings: PackSettings) -> Tensor | None:
    """Which values of the rows count, bool [R, N, F]: those that were hidden, or all; None where all do everywhere."""
    if not settings.any_masked_alone or keep_RMCF is None:
        return None
    hidden = ~keep_RMCF.flatten(2)
    if settings.originals:
        # windows are masked like their only copies, or not at all
        windows = hidden[:, : hidden.shape[1] // settings.views] & settings.overwrite_originals_R[:, None, None]
        hidden = torch.cat((windows, hidden), 1)
    return hidden | ~settings.masked_alone_R[:, None, None]


def squared_error(decoded_RNF: Tensor, x_RNF: Tensor, counted_RNF: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Σ (decoded − x)² over the values of a replica's rows that count, [R], and decoded − x there, else 0.

    `decoded_RNF` is overwritten. Twice the second is the gradient of the first.
    """
    error = decoded_RNF.sub_(x_RNF)
    if counted_RNF is not None:
        error.mul_(counted_RNF)
    return torch.linalg.vector_norm(error, dim=(1, 2)).square_(), error


def count_values(counted_RNF: Tensor | None, group: Collectives = SINGLE_PROCESS) -> Tensor | None:
    """How many values of all workers count, int64 [R], 1 at the least; None where all do everywhere."""
    return None if counted_RNF is None else group.sum(counted_RNF.sum((1, 2))).clamp_(min=1)


def mean_error(
    squared_R: Tensor, everything: int, count_R: Tensor | None, settings: PackSettings, times: int = 1
) -> Tensor:
    """`squared_R` for each value that counts, so many times, [R]; or what its gradient is multiplied by.

    Parameters
    ----------
    squared_R : Tensor
        The sum, or this worker's part of it.
    everything : int
        Values of all rows of all workers.
    count_R : Tensor or None
        From `count_values`.
    settings : PackSettings
        Which replicas count masked values alone.
    times : int
        How many times.
    """
    # a product for a gradient, as ever: rounding differs
    mean_R = squared_R / everything if times == 1 else squared_R * (times / everything)
    if count_R is None:
        return mean_R
    return torch.where(settings.masked_alone_R, times * squared_R / count_R, mean_R)
