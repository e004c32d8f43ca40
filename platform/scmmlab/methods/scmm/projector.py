"""The projector: linear, batch norm, ReLU, linear, from the embedding h to z, which the losses compare.

Legend: R replica, N row, E number of the embedding, D width.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from scmmlab.replica.batch_norm import Batch, update_running
from scmmlab.replica.collectives import SINGLE_PROCESS, Collectives
from scmmlab.replica.dense_block import Saved, block_backward, block_forward
from scmmlab.replica.matmul import FLOAT32, Matmul
from scmmlab.replica.parameters import Parameters


class ProjectorPass(NamedTuple):
    """What one training pass leaves behind."""

    z_RDN: Tensor
    """The projection, rows last; it is not normalised."""
    hidden: Saved
    """What the gradient of the hidden layer needs."""
    hidden_RHN: Tensor
    """The hidden layer, as it enters products."""
    batch: Batch
    """What the batch said of the hidden layer's features."""


def project(
    parameters: Parameters,
    h_REN: Tensor,
    group: Collectives = SINGLE_PROCESS,
    active_R: Tensor | None = None,
    matmul: Matmul = FLOAT32,
) -> ProjectorPass:
    """The projection of embeddings, in training mode.

    Parameters
    ----------
    parameters : Parameters
        With the projector's names; its running statistics are updated.
    h_REN : Tensor, shape=(R, E, N)
        Embeddings, rows last, an operand of `matmul`.
    group : Collectives
        Workers that share the rows.
    active_R : Tensor, bool, shape=(R,), or None
        Replicas whose running statistics are updated; all when None.
    matmul : Matmul
        How matrices are multiplied.
    """
    matrix, gain, shift = (parameters[f"projector.{name}"] for name in ("0.weight", "1.weight", "1.bias"))
    matrix = matmul.operand(matrix)
    hidden, batch = block_forward(matrix, h_REN, gain, shift, False, False, None, group, matmul)
    # the first bias is subtracted again with the mean: it moves the running mean alone, and its gradient is zero
    moved = batch._replace(mean_RO11=batch.mean_RO11 + parameters["projector.0.bias"][..., None, None])
    update_running(parameters, ["projector.1"], [moved], active_R)
    hidden_RHN = matmul.operand(hidden.out.squeeze(2))
    z_RDN = matmul.baddbmm(
        parameters["projector.3.bias"].unsqueeze(-1), matmul.operand(parameters["projector.3.weight"]), hidden_RHN
    )
    return ProjectorPass(z_RDN, hidden, hidden_RHN, batch)


def project_backward(
    grad_RDN: Tensor,
    done: ProjectorPass,
    parameters: Parameters,
    group: Collectives,
    d_h_REN: Tensor | None,
    matmul: Matmul = FLOAT32,
) -> Tensor:
    """The gradient of the embeddings, from that of z, added to `d_h_REN` if there is one.

    The weights' gradients are written to `parameters.gradients`.
    """
    gradients, hidden = parameters.gradients, done.hidden
    torch.sum(grad_RDN, -1, out=gradients["projector.3.bias"])
    grad_RDN = matmul.operand(grad_RDN)
    matmul.bmm(grad_RDN, done.hidden_RHN.transpose(1, 2), gradients["projector.3.weight"])
    d_hidden = matmul.bmm(matmul.operand(parameters["projector.3.weight"]).transpose(1, 2), grad_RDN)
    dy_RON, d_gain, d_shift = block_backward(d_hidden, hidden, done.batch.numbers, False, None, group)
    dy_RON = matmul.operand(dy_RON)
    matmul.bmm(dy_RON, hidden.x_RKN.transpose(1, 2), gradients["projector.0.weight"])
    gradients["projector.0.bias"].zero_()
    gradients["projector.1.weight"].copy_(d_gain)
    gradients["projector.1.bias"].copy_(d_shift)
    matrix_RKF = hidden.matrix_RFK.transpose(1, 2)
    if d_h_REN is None:
        return matmul.bmm(matrix_RKF, dy_RON)
    return matmul.baddbmm_(d_h_REN, matrix_RKF, dy_RON)
