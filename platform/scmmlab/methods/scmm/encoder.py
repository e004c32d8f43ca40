"""The encoder: three blocks of convolution, batch norm, ReLU and max-pooling.

Legend: R replica, N row, C channel, F band, O feature, E number of the embedding.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from scmmlab.replica.batch_norm import EPSILON, Batch, row_weights, update_running
from scmmlab.replica.collectives import SINGLE_PROCESS, Collectives
from scmmlab.replica.convolution import conv_length, toeplitz, toeplitz_adjoint
from scmmlab.replica.dense_block import Saved, activate, block_backward, block_forward
from scmmlab.replica.matmul import FLOAT32, Matmul
from scmmlab.replica.parameters import Parameters
from scmmlab.replica.pooling import pooled_length
from scmmlab.replica.replicas import finetuning_replicas, joined, parts

LAYERS = (("encoder.0", "encoder.1"), ("encoder.4", "encoder.5"), ("encoder.8", "encoder.9"))
"""Convolution and batch norm of each block."""
ENCODER_NORMS = [norm for _, norm in LAYERS]


def _columns(x_RNCF: Tensor) -> Tensor:
    """The numbers of each row, channels of each band in turn, rows last, [R, F·C, N]."""
    return x_RNCF.transpose(2, 3).flatten(2).transpose(1, 2)


def encoder_weights(parameters: Parameters) -> list[Tensor]:
    """Kernel, γ and β of each block in turn, in which order they lie in the flat buffer too."""
    return [parameters[name] for conv, norm in LAYERS for name in (f"{conv}.weight", f"{norm}.weight", f"{norm}.bias")]


class EncoderPass(NamedTuple):
    """What one training pass leaves behind."""

    h_REN: Tensor
    """The embedding, rows last, as it enters products."""
    blocks: list[Saved]
    """What the gradient of each block needs."""
    batches: list[Batch]
    """What the batch said of each block's features."""
    points: list[int]
    """Points before each block."""


def encoder_forward(
    weights: Sequence[Tensor],
    x_RNCF: Tensor,
    weight_R11N: Tensor | None,
    group: Collectives,
    matmul: Matmul = FLOAT32,
) -> EncoderPass:
    """All blocks with the batch's statistics; `weights` are kernel, γ and β of each block in turn."""
    x_RKN, points = _columns(matmul.operand(x_RNCF)), [x_RNCF.shape[3]]
    blocks, batches = [], []
    for block in range(len(LAYERS)):
        kernel, gain, shift = weights[3 * block : 3 * block + 3]
        matrix, point_major = toeplitz(matmul.operand(kernel), points[-1]), block < len(LAYERS) - 1
        saved, batch = block_forward(matrix, x_RKN, gain, shift, True, point_major, weight_R11N, group, matmul)
        blocks.append(saved)
        batches.append(batch)
        points.append(pooled_length(conv_length(points[-1])))
        x_RKN = matmul.operand(saved.out.flatten(1, 2))
    return EncoderPass(x_RKN, blocks, batches, points)


def encoder_backward(
    grad_REN: Tensor,
    done: EncoderPass,
    weight_R11N: Tensor | None,
    group: Collectives,
    gradients: dict[str, Tensor],
    matmul: Matmul = FLOAT32,
) -> None:
    """Write the gradients of the weights to `gradients`, by name, from that of the embedding."""
    upstream = grad_REN
    for block, (conv, norm) in reversed(list(enumerate(LAYERS))):
        saved, points = done.blocks[block], done.points[block]
        dy_RFN, d_gain, d_shift = block_backward(
            upstream, saved, done.batches[block].numbers, block < len(LAYERS) - 1, weight_R11N, group
        )
        dy_RFN = matmul.operand(dy_RFN)
        d_matrix = matmul.bmm(dy_RFN, saved.x_RKN.transpose(1, 2))
        gradients[f"{conv}.weight"].copy_(toeplitz_adjoint(d_matrix, d_gain.shape[1], points))
        gradients[f"{norm}.weight"].copy_(d_gain)
        gradients[f"{norm}.bias"].copy_(d_shift)
        if block > 0:
            upstream = matmul.bmm(saved.matrix_RFK.transpose(1, 2), dy_RFN)


def _encode_frozen(parameters: Parameters, x_RNCF: Tensor) -> Tensor:
    points = x_RNCF.shape[3]
    x_RKN = _columns(x_RNCF)
    for block, (conv, norm) in enumerate(LAYERS):
        gain, shift = parameters[f"{norm}.weight"], parameters[f"{norm}.bias"]
        matrix = toeplitz(parameters[f"{conv}.weight"], points)
        y_ROTN = torch.bmm(matrix, x_RKN).view(*gain.shape, -1, x_RKN.shape[-1])
        feature = *gain.shape, 1, 1
        y_ROTN.sub_(parameters.running_mean[norm].view(feature))
        slope = gain * (parameters.running_var[norm] + EPSILON).rsqrt()
        out = activate(y_ROTN, slope.view(feature), shift.view(feature), True, block < len(LAYERS) - 1).out
        points = pooled_length(conv_length(points))
        x_RKN = out.flatten(1, 2)
    return x_RKN


def encode_columns(
    parameters: Parameters,
    x_RNCF: Tensor,
    training: bool,
    row_mask_RN: Tensor | None = None,
    active_R: Tensor | None = None,
) -> Tensor:
    """The embedding with rows last, [R, E, N]; parameters as in `encode`."""
    if not training:
        return _encode_frozen(parameters, x_RNCF)
    done = encoder_forward(encoder_weights(parameters), x_RNCF, row_weights(row_mask_RN, x_RNCF.dtype), SINGLE_PROCESS)
    update_running(parameters, ENCODER_NORMS, done.batches, active_R)
    return done.h_REN


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
        Scaled features, finite.
    training : bool
        Whether batch norm uses the statistics of the rows; else its running statistics.
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
    size = finetuning_replicas(x_RNCF, parameters["encoder.1.weight"].shape[1])
    found = [
        encode_columns(part, x, training, mask, active)
        for part, x, mask, active in zip(
            parameters.parts(size),
            x_RNCF.split(size),
            parts(row_mask, size, len(x_RNCF)),
            parts(active_R, size, len(x_RNCF)),
            strict=True,
        )
    ]
    return joined(found).transpose(1, 2)
