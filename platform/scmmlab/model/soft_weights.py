"""Soft weights: how much two rows count as views of one another, by their distance in the input.

Legend: R replica, N row, J row that is compared with (all workers' rows).
"""

from __future__ import annotations

import torch
from torch import Tensor

from scmmlab.model.collectives import SINGLE_PROCESS, Collectives
from scmmlab.model.settings import Settings


def distances(x_RNF: Tensor, y_RJF: Tensor, distance: str) -> Tensor:
    """Distances of all rows of x from all rows of y, [R, N, J]: cosine is −cos, euclidean and manhattan the norms."""
    if distance == "cosine":
        x = x_RNF / x_RNF.norm(dim=-1, keepdim=True).clamp(min=1e-8)
        y = y_RJF / y_RJF.norm(dim=-1, keepdim=True).clamp(min=1e-8)
        return -torch.bmm(x, y.transpose(1, 2))
    # not by |x|² − 2xy + |y|²: near rows would lose their distance to cancellation
    power = 2.0 if distance == "euclidean" else 1.0
    return torch.cdist(x_RNF, y_RJF, p=power, compute_mode="donot_use_mm_for_euclid_dist")


def soft_weights(x_RNF: Tensor, settings: Settings, first_row: int = 0, group: Collectives = SINGLE_PROCESS) -> Tensor:
    """w_ij of all pairs, [R, N, J], before views of one window are set to 1."""
    y_RJF = group.gather_rows(x_RNF)
    d = x_RNF.new_zeros(x_RNF.shape[0], x_RNF.shape[1], y_RJF.shape[1])
    for name, replicas in settings.distance_replicas:
        index = list(replicas)
        d[index] = distances(x_RNF[index], y_RJF[index], name)
    diagonal = d.diagonal(offset=first_row, dim1=1, dim2=2)
    diagonal.fill_(torch.inf)
    # the diagonal takes the least off-diagonal distance g, so every column's minimum is g:
    # d̂_ij = (d_ij − g) / (max_i d_ij − g)
    least = -group.maximum(-d.amin((1, 2), keepdim=True))
    diagonal.copy_(least[:, :, 0].expand_as(diagonal))
    d -= least
    span = group.maximum(d.amax(1, keepdim=True))
    # a column of equal distances: scikit-learn's min-max scaling, which the released code uses, then divides by 1
    span = torch.where(span < 10 * torch.finfo(d.dtype).eps, 1.0, span)
    # w_ij = 2α / (1 + exp(d̂_ij / τ_s))
    w = torch.sigmoid(-d / (span * settings.soft_weight_temperature_R[:, None, None]))
    return w * (2 * settings.upper_bound_R[:, None, None])
