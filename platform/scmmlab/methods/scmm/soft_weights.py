"""Soft weights: how much two rows count as views of one another, by their distance in the input.

Legend: R replica, N row of this worker, J row of any worker, F input number.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from scmmlab.methods.scmm.pack_settings import PackSettings
from scmmlab.replica.collectives import SINGLE_PROCESS, Collectives

LEAST_NORM = 1e-8
"""A row of zeros has cosine 0 to every other."""


def cosine_distances(x_RNF: Tensor, y_RJF: Tensor) -> Tensor:
    """1 − cos of all rows of x from all rows of y, [R, N, J]; the released −cos, but for the 1 that scaling removes.

    Features are positive, so cosines are near 1 and near each other: a product of unit rows x̂ loses the very digits in
    which they differ, which min-max scaling then blows up. With w = x̂ − m, m any row near them all,
    1 − x̂_i·x̂_j = b_i + b_j − w_i·w_j, b_i = (|w_i|² + 1 − |x̂_i|²) / 2, and every term is as small as the difference.
    """
    y, y_norm = _unit_rows(y_RJF)
    x, x_norm = (y, y_norm) if y_RJF is x_RNF else _unit_rows(x_RNF)
    middle = y.mean(1, keepdim=True)

    def centred(unit: Tensor, length: Tensor) -> tuple[Tensor, Tensor]:
        w = unit.sub_(middle)
        square = torch.linalg.vector_norm(w, dim=-1, keepdim=True).square_()
        return w, (square + (1 - length.square())).mul_(0.5)

    w_y, b_y = centred(y, y_norm)
    w_x, b_x = (w_y, b_y) if x is y else centred(x, x_norm)
    return torch.baddbmm(b_y.transpose(1, 2), w_x, w_y.transpose(1, 2), alpha=-1).add_(b_x)


def _unit_rows(x_RNF: Tensor) -> tuple[Tensor, Tensor]:
    """Rows divided by their norm, and the norm that they have then: exactly 1, but for rows of (almost) zeros."""
    norm = torch.linalg.vector_norm(x_RNF, dim=-1, keepdim=True)
    divisor = norm.clamp(min=LEAST_NORM)
    return x_RNF / divisor, norm / divisor


def euclidean_distances(x_RNF: Tensor, y_RJF: Tensor) -> Tensor:
    """Euclidean distances of all rows of x from all rows of y, [R, N, J]."""
    if x_RNF.dtype == torch.float64:
        # pair by pair: |x|² − 2xy + |y|² would leave near rows without half of their digits
        return torch.cdist(x_RNF, y_RJF, compute_mode="donot_use_mm_for_euclid_dist")
    # in twice the digits it may, and one product is ten times as fast
    x, y = x_RNF.double(), y_RJF.double()
    middle = y.mean(1, keepdim=True)
    x, y = x - middle, y - middle
    square = torch.baddbmm(y.square().sum(-1).unsqueeze(1), x, y.transpose(1, 2), alpha=-2)
    square += x.square().sum(-1, keepdim=True)
    # of equal rows rounding may leave less than 0, which has no root
    return square.clamp_(min=0).sqrt_().to(x_RNF.dtype)


def distances(x_RNF: Tensor, y_RJF: Tensor, distance: str) -> Tensor:
    """Distances of all rows of x from all rows of y, [R, N, J]: cosine, euclidean or manhattan."""
    if distance == "cosine":
        return cosine_distances(x_RNF, y_RJF)
    if distance == "euclidean":
        return euclidean_distances(x_RNF, y_RJF)
    return torch.cdist(x_RNF, y_RJF, p=1.0)


def weights_of_distances(
    d_RNJ: Tensor, upper_bound_R: Tensor, temperature_R: Tensor, first_row: int, group: Collectives
) -> Tensor:
    """w_ij = 2α / (1 + exp(d̂_ij / τ_s)), with d̂ the distances scaled to [0, 1] in each column; `d_RNJ` is overwritten.

    The diagonal is first set to the least off-diagonal distance g, so every column's least is g, and column j's scaling
    is d̂_ij = (d_ij − g) / (max_i d_ij − g). Paper: arXiv 2408.09186, soft weight assignment.
    """
    diagonal = d_RNJ.diagonal(first_row, 1, 2)
    diagonal.fill_(torch.inf)
    least_R11 = -group.maximum(-d_RNJ.amin((1, 2), keepdim=True))
    diagonal.copy_(least_R11[..., 0])
    range_R1J = group.maximum(d_RNJ.amax(1, keepdim=True)) - least_R11
    # scikit-learn's min-max scaling, which the released code uses, divides by 1 where a column does not vary
    range_R1J.masked_fill_(range_R1J < 10 * torch.finfo(d_RNJ.dtype).eps, 1.0)
    # the difference first: it is exact for near numbers, where d_ij / range − g / range would cancel
    scale_R1J = -1 / (range_R1J * temperature_R[:, None, None])
    return d_RNJ.sub_(least_R11).mul_(scale_R1J).sigmoid_().mul_(2 * upper_bound_R[:, None, None])


class WindowTimes(NamedTuple):
    """When each row's window was recorded."""

    trial_RN: Tensor
    """int64: which trial it is of."""
    time_RN: Tensor
    """Seconds from the trial's start."""


def weights_in_time(own: WindowTimes, others: WindowTimes, upper_bound_R: Tensor, half_life_R: Tensor) -> Tensor:
    """w_ij = 2α / (1 + 3^(|t_i − t_j| / t_½)) within a trial, else 0, [R, N, J]: α for the same time, α/2 after t_½.

    The temporal soft assignment of SoftCLT (Lee et al. 2024), 2 / (1 + exp(τ |t − t'|)), with τ = ln 3 / t_½ and bound
    α.
    """
    apart_RNJ = (own.time_RN[:, :, None] - others.time_RN[:, None]).abs_()
    scale_R11 = (-math.log(3) / half_life_R)[:, None, None]
    w_RNJ = apart_RNJ.mul_(scale_R11).sigmoid_().mul_(2 * upper_bound_R[:, None, None])
    return w_RNJ.masked_fill_(own.trial_RN[:, :, None] != others.trial_RN[:, None], 0.0)


def soft_weights(x_RNF: Tensor, settings: PackSettings, group: Collectives = SINGLE_PROCESS) -> Tensor:
    """Soft weights of all pairs, before views of one window are set to 1.

    Parameters
    ----------
    x_RNF : Tensor, shape=(R, N, F)
        Input rows of this worker, windows and copies.
    settings : PackSettings
        Which replicas have soft weights, by which distance, and with which α and τ_s.
    group : Collectives
        Workers that share the batch: least distances and ranges are of all their rows.

    Returns
    -------
    Tensor, shape=(R, N, J)
        0 for replicas whose weights are not soft.
    """
    y_RJF = group.gather(x_RNF, 1)
    first_row = group.rank * x_RNF.shape[1]

    def weights(x: Tensor, y: Tensor, numbers: Sequence[Tensor], distance: str) -> Tensor:
        upper_bound_R, temperature_R = numbers
        return weights_of_distances(distances(x, y, distance), upper_bound_R, temperature_R, first_row, group)

    numbers = settings.upper_bound_R, settings.soft_weight_temperature_R
    if len(settings.distance_replicas) == 1 and len(settings.distance_replicas[0][1]) == len(x_RNF):
        return weights(x_RNF, y_RJF, numbers, settings.distance_replicas[0][0])
    w = x_RNF.new_zeros(*x_RNF.shape[:2], y_RJF.shape[1])
    for distance, replicas in settings.distance_replicas:
        index = settings.index(replicas)
        x = x_RNF[index]
        y = x if y_RJF is x_RNF else y_RJF[index]
        w[index] = weights(x, y, [number_R[index] for number_R in numbers], distance)
    return w


def mark_views(w_RNJ: Tensor, windows: int, rows_per_window: int, first_row: int) -> None:
    """Set the weights of views of one window to 1 and each row's own to 0, in place.

    Rows are those of `windows` windows, view after view; they stand in the columns from `first_row` on.
    """
    own = w_RNJ[:, :, first_row : first_row + w_RNJ.shape[1]]
    for view in range(1, rows_per_window):
        own.diagonal(view * windows, 1, 2).fill_(1)
        own.diagonal(-view * windows, 1, 2).fill_(1)
    own.diagonal(0, 1, 2).fill_(0)
