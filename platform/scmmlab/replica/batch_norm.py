"""Batch normalisation: each replica's own statistics, over all rows, some of them, or all workers' rows.

x̂ = (y − mean) / √(var + ε), u = γ x̂ + β for each feature, over its points and rows (Ioffe & Szegedy 2015).

Legend: R replica, O feature, T point, N row; 1 stands where a feature has one number for all points and rows. Rows are
the last and contiguous dimension.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from scmmlab.replica.collectives import Collectives
from scmmlab.replica.parameters import Parameters

EPSILON = 1e-5
"""ε, PyTorch's: a feature that does not vary would be divided by 0."""
MOMENTUM = 0.1
"""Share of the batch in the running statistics, PyTorch's."""


class Batch(NamedTuple):
    """What one batch says of each feature."""

    mean_RO11: Tensor
    variance_RO11: Tensor
    """Biased: divided by the numbers behind it."""
    numbers: Tensor | int
    """Numbers n behind each mean, on all workers; [R, 1, 1, 1] and at least 1 where replicas differ."""


def row_weights(row_mask_RN: Tensor | None, dtype: torch.dtype) -> Tensor | None:
    """1 for a row that counts and 0 for another, [R, 1, 1, N]."""
    return None if row_mask_RN is None else row_mask_RN[:, None, None].to(dtype)


def centre(y_ROTN: Tensor, weight_R11N: Tensor | None, group: Collectives) -> Batch:
    """Subtract each feature's mean in place and say what was found; rows of weight 0 become 0.

    Two passes: E[y²] − E[y]² would cancel where a mean is large.
    """
    numbers: Tensor | int = y_ROTN.shape[2] * y_ROTN.shape[3] * group.workers
    if weight_R11N is not None:
        # a replica without rows that count has sums of 0, and divides them by 1
        numbers = (group.sum(weight_R11N.sum(3, keepdim=True)) * y_ROTN.shape[2]).clamp_(min=1)
        y_ROTN.mul_(weight_R11N)
    mean = group.sum(y_ROTN.sum((2, 3), keepdim=True)).div(numbers)
    y_ROTN.sub_(mean)
    if weight_R11N is not None:
        y_ROTN.mul_(weight_R11N)
    norm = torch.linalg.vector_norm(y_ROTN, dim=(2, 3), keepdim=True)
    return Batch(mean, group.sum(norm.square_()).div(numbers), numbers)


def centre_gradient(
    du_ROTN: Tensor,
    y_ROTN: Tensor,
    slope_RO11: Tensor,
    rstd_RO11: Tensor,
    numbers: Tensor | int,
    group: Collectives,
) -> tuple[Tensor, Tensor, Tensor]:
    """∂L/∂y of u = γ x̂ + β, with the way through mean and variance, and the gradients of γ and β.

    With a = γ / √(var + ε) and Σ over all n numbers of a feature,
    ∂L/∂y = a (∂L/∂u − Σ ∂L/∂u / n − x̂ Σ (∂L/∂u · x̂) / n).

    Parameters
    ----------
    du_ROTN : Tensor
        ∂L/∂u, 0 in rows that do not count; overwritten with ∂L/∂y, which is not 0 there.
    y_ROTN : Tensor
        y − mean.
    slope_RO11, rstd_RO11 : Tensor
        a and 1 / √(var + ε).
    numbers : Tensor or int
        n, from `centre`.
    group : Collectives
        The workers that share the batch.

    Returns
    -------
    dy_ROTN, d_gain_RO11, d_shift_RO11 : Tensor
        The last two are this worker's part.
    """
    du_sum = du_ROTN.sum((2, 3), keepdim=True)
    du_y_sum = (du_ROTN * y_ROTN).sum((2, 3), keepdim=True)
    du_all, du_y_all = du_sum, du_y_sum
    if group.workers > 1:
        du_all, du_y_all = group.sum(torch.stack((du_sum, du_y_sum)))
    share = slope_RO11 / numbers
    dy = du_ROTN.mul_(slope_RO11).sub_(share * du_all)
    dy.addcmul_(y_ROTN, rstd_RO11.square().mul_(share).mul_(du_y_all), value=-1)
    return dy, du_y_sum.mul_(rstd_RO11), du_sum


def update_running(
    parameters: Parameters, norms: Sequence[str], batches: Sequence[Batch], active_R: Tensor | None = None
) -> None:
    """Move the running statistics a tenth of the way to the batch's, the variance unbiased by n / (n − 1).

    A replica that is not active, or has no rows that count, keeps what it has.

    Parameters
    ----------
    parameters : Parameters
        Whose running statistics are moved.
    norms : sequence of str
        Batch norms that stand one after another in `Parameters.norms`.
    batches : sequence of Batch
        What the batch said of each.
    active_R : Tensor, bool, shape=(R,), or None
        Replicas that take part; all when None.
    """
    mean = torch.cat([batch.mean_RO11 for batch in batches], 1).flatten(1)
    variance = torch.cat([_unbiased(batch) for batch in batches], 1).flatten(1)
    running_mean, running_var, tracked = parameters.running(norms[0], norms[-1])
    numbers = batches[0].numbers
    if isinstance(numbers, int) and active_R is None:
        running_mean.lerp_(mean, MOMENTUM)
        running_var.lerp_(variance, MOMENTUM)
        tracked += 1
        return
    seen = [] if active_R is None else [active_R.view(-1, 1)]
    if isinstance(numbers, Tensor):
        seen.append((numbers > 1).view(-1, 1))
    seen_R1 = seen[0] if len(seen) == 1 else seen[0] & seen[1]
    step = (seen_R1.to(mean.dtype) * MOMENTUM).expand_as(mean)
    running_mean.lerp_(mean, step)
    running_var.lerp_(variance, step)
    tracked += seen_R1


def _unbiased(batch: Batch) -> Tensor:
    n = batch.numbers
    # a single number has no unbiased variance; `update_running` leaves it aside
    return batch.variance_RO11 * (n / (n - 1).clamp_(min=1) if isinstance(n, Tensor) else n / (n - 1))
