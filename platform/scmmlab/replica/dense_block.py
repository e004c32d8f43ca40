"""A dense layer, batch norm, ReLU and, in the encoder, max-pooling: forward, and the gradient in closed form.

Plain functions over tensors, of which the encoder and the projector are made. Rows are the
last and contiguous dimension, so that each operation runs along rows.

Legend: R replica, K input number, O feature, T point before pooling, P point after it, N row.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from scmmlab.replica.batch_norm import EPSILON, Batch, centre, centre_gradient
from scmmlab.replica.collectives import Collectives
from scmmlab.replica.matmul import Matmul
from scmmlab.replica.pooling import max_pool, max_pool_gradient


class Activation(NamedTuple):
    """ReLU of a signal, pooled or not."""

    out: Tensor
    """[R, P, O, N] if point-major, else [R, O, P, N]."""
    out_ROPN: Tensor
    """The same, in any memory order."""
    u_ROTN: Tensor
    """Memory of the signal's size, for the gradient; its numbers are used up."""
    rise: Tensor | None
    """How much each pair rises; None where nothing is pooled."""


class Saved(NamedTuple):
    """What the gradient needs."""

    matrix_RFK: Tensor
    x_RKN: Tensor
    """Both as they enter products."""
    y_ROTN: Tensor
    """y − mean."""
    activation: Activation
    slope_RO11: Tensor
    rstd_RO11: Tensor

    @property
    def out(self) -> Tensor:
        """What the block gives to the next."""
        return self.activation.out


def activate(y_ROTN: Tensor, slope_RO11: Tensor, shift_RO11: Tensor, pool: bool, point_major: bool) -> Activation:
    """Take u = a y + β, and ReLU of its pooled points."""
    u = (y_ROTN * slope_RO11).add_(shift_RO11)
    if not pool:
        out = u.relu_()
        return Activation(out, out, u, None)
    pooled_ROPN, rise = max_pool(u)
    replicas, features, points, rows = pooled_ROPN.shape
    if point_major:
        out = u.new_empty(replicas, points, features, rows)
        out_ROPN = out.transpose(1, 2)
    else:
        out = out_ROPN = u.new_empty(replicas, features, points, rows)
    # ReLU, into memory without gaps
    torch.clamp_min(pooled_ROPN, 0, out=out_ROPN)
    return Activation(out, out_ROPN, u, rise)


def block_forward(
    matrix_RFK: Tensor,
    x_RKN: Tensor,
    gain_RO: Tensor,
    shift_RO: Tensor,
    pool: bool,
    point_major: bool,
    weight_R11N: Tensor | None,
    group: Collectives,
    matmul: Matmul,
) -> tuple[Saved, Batch]:
    """``ReLU(pool(γ · batch norm(matrix · x) + β))`` with the batch's own statistics, in `Saved.out`.

    Parameters
    ----------
    matrix_RFK : Tensor, shape=(R, O·T, K)
        The layer, the points of each feature in turn, in `pooling_order` where they are pooled.
    x_RKN : Tensor, shape=(R, K, N)
        Its input. Both are operand of `matmul`.
    gain_RO, shift_RO : Tensor, shape=(R, O)
        γ and β.
    pool : bool
        Whether points are pooled by ``MaxPool1d(2, 2, padding 1)``; without pooling there must be one.
    point_major : bool
        Order of the output's numbers (see `activate`).
    weight_R11N : Tensor or None
        1 for rows that count and 0 for the others, which neither give statistics nor receive gradients.
    group : Collectives
        Workers that share the batch: the statistics are of all their rows.
    matmul : Matmul
        How matrix and input are multiplied.
    """
    replicas, features = gain_RO.shape
    y = matmul.bmm(matrix_RFK, x_RKN).view(replicas, features, -1, x_RKN.shape[-1])
    batch = centre(y, weight_R11N, group)
    rstd = (batch.variance_RO11 + EPSILON).rsqrt_()
    slope = gain_RO.view_as(rstd) * rstd
    activation = activate(y, slope, shift_RO.view_as(rstd), pool, point_major)
    return Saved(matrix_RFK, x_RKN, y, activation, slope, rstd), batch


def block_backward(
    grad: Tensor,
    saved: Saved,
    numbers: Tensor | int,
    point_major: bool,
    weight_R11N: Tensor | None,
    group: Collectives,
) -> tuple[Tensor, Tensor, Tensor]:
    """∂L/∂(matrix · x) [R, O·T, N], and the gradients of γ and β [R, O], from that of `Saved.out`.

    The caller turns the first into the gradients of matrix and x that it needs. `saved` is overwritten.
    """
    out, out_ROPN, du_ROTN, rise = saved.activation
    grad_ROPN = grad.view(out.shape)
    if point_major:
        grad_ROPN = grad_ROPN.transpose(1, 2)
    # ReLU, then pooling: the gradient passes where the output is above 0
    du_ROPN = du_ROTN[:, :, : out_ROPN.shape[2]]
    torch.ops.aten.threshold_backward.grad_input(grad_ROPN, out_ROPN, 0, grad_input=du_ROPN)
    if rise is not None:
        max_pool_gradient(du_ROTN, rise)
    dy, d_gain, d_shift = centre_gradient(du_ROTN, saved.y_ROTN, saved.slope_RO11, saved.rstd_RO11, numbers, group)
    if weight_R11N is not None:
        dy.mul_(weight_R11N)
    return dy.flatten(1, 2), d_gain.flatten(1), d_shift.flatten(1)
