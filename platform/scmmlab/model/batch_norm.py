"""Batch normalisation and ReLU: each replica's own statistics, over all rows, some of them, or all workers' rows.

x̂ = (y − mean) / √(var + ε), u = γ x̂ + β for each feature, over its points and rows (Ioffe & Szegedy 2015).

Legend: R replica, O feature, T point, N row. Rows are the last and contiguous dimension.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from scmmlab.model.collectives import Collectives
from scmmlab.model.parameters import Parameters

EPSILON = 1e-5
MOMENTUM = 0.1


class Batch(NamedTuple):
    """What one batch says of each feature."""

    mean_RO: Tensor
    variance_RO: Tensor
    """Biased: divided by the count."""
    count: Tensor | int
    """Numbers n behind each mean, of all workers; [R, 1] and at least 1 where replicas differ."""


def centre(y_ROTN: Tensor, row_mask_RN: Tensor | None, group: Collectives) -> Batch:
    """Subtract each feature's mean in place and say what was found; masked rows become 0.

    Two passes: E[y²] − E[y]² would cancel where a mean is large.
    """
    mask = None
    count: Tensor | int = y_ROTN.shape[2] * y_ROTN.shape[3] * group.workers
    if row_mask_RN is not None:
        mask = row_mask_RN[:, None, None].to(y_ROTN.dtype)
        count = (group.sum(mask[:, 0].sum(-1)) * y_ROTN.shape[2]).clamp_(min=1)
        y_ROTN.mul_(mask)
    mean = group.sum(y_ROTN.flatten(2).sum(-1)) / count
    y_ROTN.sub_(mean[..., None, None])
    if mask is not None:
        y_ROTN.mul_(mask)
    variance = group.sum(torch.linalg.vector_norm(y_ROTN.flatten(2), dim=-1).square_()) / count
    return Batch(mean, variance, count)


def centre_gradient(
    du_ROTN: Tensor,
    y_ROTN: Tensor,
    slope_RO: Tensor,
    rstd_RO: Tensor,
    count: Tensor | int,
    group: Collectives,
) -> tuple[Tensor, Tensor, Tensor]:
    """∂L/∂y of u = γ x̂ + β, with the way through mean and variance, and the gradients of γ and β.

    With a = γ / √(var + ε) and Σ over all n numbers of a feature,
    ∂L/∂y = a (∂L/∂u − Σ ∂L/∂u / n − x̂ Σ (∂L/∂u · x̂) / n).

    Parameters
    ----------
    du_ROTN : Tensor
        ∂L/∂u, 0 in masked rows; overwritten with ∂L/∂y, which is not 0 there.
    y_ROTN : Tensor
        y − mean.
    slope_RO, rstd_RO : Tensor, shape=(R, O)
        a and 1 / √(var + ε).
    count : Tensor, shape=(R, 1), or int
        n, from `centre`.
    group : Collectives
        The workers that share the batch.

    Returns
    -------
    dy_ROTN, d_gain_RO, d_shift_RO : Tensor
        The last two are this worker's part.
    """
    du_sum = du_ROTN.flatten(2).sum(-1)
    du_y_sum = (du_ROTN * y_ROTN).flatten(2).sum(-1)
    du_all, du_y_all = du_sum, du_y_sum
    if group.workers > 1:
        du_all, du_y_all = group.sum(torch.stack((du_sum, du_y_sum)))
    constant = du_all * (-slope_RO / count)
    linear = du_y_all * rstd_RO.square().mul_(-slope_RO / count)
    dy = du_ROTN.mul_(slope_RO[..., None, None]).add_(constant[..., None, None])
    return dy.addcmul_(y_ROTN, linear[..., None, None]), du_y_sum * rstd_RO, du_sum


def update_running(parameters: Parameters, norm: str, batch: Batch, active_R: Tensor | None = None) -> None:
    """Move the running statistics a tenth of the way to the batch's, the variance unbiased by n / (n − 1).

    A replica that is not active, or had no rows, keeps what it has.
    """
    mean, variance, count = batch
    running_mean, running_var = parameters.running_mean[norm], parameters.running_var[norm]
    if isinstance(count, int) and active_R is None:
        running_mean.lerp_(mean, MOMENTUM)
        running_var.lerp_(variance * (count / (count - 1)), MOMENTUM)
        parameters.batches_tracked[norm] += 1
        return
    count_R1 = count if isinstance(count, Tensor) else mean.new_full((mean.shape[0], 1), count)
    seen_R1 = count_R1 > 1
    if active_R is not None:
        seen_R1 = seen_R1 & active_R.unsqueeze(-1)
    step = (MOMENTUM * seen_R1).to(mean.dtype).expand_as(mean)
    running_mean.lerp_(mean, step)
    running_var.lerp_(variance * (count_R1 / (count_R1 - 1).clamp_(min=1)), step)
    parameters.batches_tracked[norm] += seen_R1[:, 0]
