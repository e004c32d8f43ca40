"""The projector: linear, batch norm, ReLU, linear, from the embedding h to z, which the losses compare.

Legend: R replica, N row, E number of the embedding, D width.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from scmmlab.model.batch_norm import Batch, update_running
from scmmlab.model.collectives import SINGLE_PROCESS, Collectives
from scmmlab.model.dense_block import Saved, block_backward, block_forward
from scmmlab.model.parameters import Parameters


class _Hidden(torch.autograd.Function):
    """Linear without its bias, batch norm, ReLU."""

    @staticmethod
    def forward(
        ctx: Any, x_REN: Tensor, matrix: Tensor, gain: Tensor, shift: Tensor, group: Collectives, batches: list[Batch]
    ) -> Tensor:
        saved, batch = block_forward(matrix, x_REN, gain, shift, False, False, None, group)
        batches.append(batch)
        ctx.save_for_backward(*saved)
        ctx.numbers, ctx.group = batch.numbers, group
        return saved.out.squeeze(2)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        saved = Saved(*ctx.saved_tensors)
        d_matrix, dx, d_gain, d_shift = block_backward(grad, saved, ctx.numbers, False, False, None, ctx.group, True)
        return dx, d_matrix, d_gain, d_shift, None, None


def project(
    parameters: Parameters,
    h_REN: Tensor,
    group: Collectives = SINGLE_PROCESS,
    active_R: Tensor | None = None,
) -> Tensor:
    """The projection z with rows last, [R, D, N], in training mode; z is not normalised.

    Parameters
    ----------
    parameters : Parameters
        With the projector's names; its running statistics are updated.
    h_REN : Tensor, shape=(R, E, N)
        Embeddings, rows last.
    group : Collectives
        Workers that share the rows.
    active_R : Tensor, bool, shape=(R,), or None
        Replicas whose running statistics are updated; all when None.
    """
    batches: list[Batch] = []
    weights = (parameters[name] for name in ("projector.0.weight", "projector.1.weight", "projector.1.bias"))
    hidden: Tensor = _Hidden.apply(h_REN, *weights, group, batches)
    # the first bias is subtracted again with the mean: it moves the running mean alone, and its gradient is zero
    bias_RO11 = parameters["projector.0.bias"].detach()[..., None, None]
    batch = batches[0]._replace(mean_RO11=batches[0].mean_RO11 + bias_RO11)
    update_running(parameters, ["projector.1"], [batch], active_R)
    return torch.baddbmm(parameters["projector.3.bias"].unsqueeze(-1), parameters["projector.3.weight"], hidden)
