"""The encoder: three blocks of convolution, batch norm, ReLU and max-pooling.

Legend: R replica, N row, C channel, F band, D width, L point; rows are the last, contiguous dimension inside.
"""

from __future__ import annotations

import torch
from torch import Tensor

from scmmlab.model.batch_norm import batch_norm
from scmmlab.model.collectives import SINGLE_PROCESS, Collectives
from scmmlab.model.parameters import Parameters, conv_length
from scmmlab.model.toeplitz import toeplitz


def _max_pool(x_RCLN: Tensor) -> Tensor:
    """``MaxPool1d(2, 2, padding 1)`` over points of numbers that are not negative."""
    length = x_RCLN.shape[2]
    parts = [x_RCLN[:, :, :1]]
    pairs = (length - 1) // 2
    parts.append(torch.maximum(x_RCLN[:, :, 1 : 2 * pairs : 2], x_RCLN[:, :, 2 : 2 * pairs + 1 : 2]))
    if length % 2 == 0:
        parts.append(x_RCLN[:, :, -1:])
    return torch.cat(parts, dim=2)


def encode_columns(
    parameters: Parameters,
    x_RNCF: Tensor,
    training: bool,
    row_mask_RN: Tensor | None = None,
    group: Collectives = SINGLE_PROCESS,
    active_R: Tensor | None = None,
) -> Tensor:
    """h with rows last, [R, 3D, N]; else as `encode`."""
    replicas, rows, _, points = x_RNCF.shape
    x = x_RNCF.reshape(replicas, rows, -1).transpose(1, 2)
    for block in range(3):
        weight = parameters[f"encoder.{4 * block}.weight"]
        length = conv_length(points)
        y = torch.bmm(toeplitz(weight, points), x).view(replicas, weight.shape[1], length, rows)
        y = batch_norm(parameters, f"encoder.{4 * block + 1}", y, training, row_mask_RN, group, active_R)
        y = _max_pool(y.relu())
        points = y.shape[2]
        x = y.reshape(replicas, -1, rows)
    return x


def encode(
    parameters: Parameters,
    x_RNCF: Tensor,
    training: bool,
    row_mask: Tensor | None = None,
    active_R: Tensor | None = None,
) -> Tensor:
    """The embedding h of each row.

    Parameters
    ----------
    parameters : Parameters
        With the encoder's names. In training its running statistics are updated.
    x_RNCF : Tensor, shape=(R, N, C, F)
        Scaled features.
    training : bool
        Whether batch norm uses the statistics of the rows, else its running statistics.
    row_mask : Tensor, bool, shape=(R, N), or None
        In training, the rows that count; what the others hold has no influence on these. A replica without any keeps
        its running statistics.
    active_R : Tensor, bool, shape=(R,), or None
        Replicas whose running statistics are updated; all when None.

    Returns
    -------
    Tensor, shape=(R, N, 3·D)
        Channel-major, as ``nn.Flatten`` of (N, D, 3).
    """
    return encode_columns(parameters, x_RNCF, training, row_mask, active_R=active_R).transpose(1, 2)
