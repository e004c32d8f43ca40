"""Batch normalisation of a pack: each replica's own statistics, over all its rows, a masked part, or all workers' rows.

Legend: R replica, C feature, L point, N row.
"""

from __future__ import annotations

import torch
from torch import Tensor

from scmmlab.model.collectives import SINGLE_PROCESS, Collectives
from scmmlab.model.parameters import Parameters

EPSILON = 1e-5
MOMENTUM = 0.1


def batch_norm(
    parameters: Parameters,
    norm: str,
    x_RCLN: Tensor,
    training: bool,
    row_mask_RN: Tensor | None = None,
    group: Collectives = SINGLE_PROCESS,
    active_R: Tensor | None = None,
) -> Tensor:
    """``γ (x − mean) / √(var + ε) + β`` per feature, over rows and points (Ioffe & Szegedy 2015)."""
    gain = parameters[f"{norm}.weight"][..., None, None]
    shift = parameters[f"{norm}.bias"][..., None, None]
    if not training:
        mean = parameters.running_mean[norm][..., None, None]
        var = parameters.running_var[norm][..., None, None]
        return (x_RCLN - mean) * torch.rsqrt(var + EPSILON) * gain + shift
    points = x_RCLN.shape[2]
    if row_mask_RN is None:
        weight = None
        count_R = torch.full((x_RCLN.shape[0],), float(x_RCLN.shape[3]), device=x_RCLN.device, dtype=x_RCLN.dtype)
    else:
        weight = row_mask_RN[:, None, None, :].to(x_RCLN.dtype)
        count_R = row_mask_RN.sum(-1).to(x_RCLN.dtype)
    count = group.sum(count_R).mul(points).clamp(min=1)[:, None, None, None]
    masked = x_RCLN if weight is None else x_RCLN * weight
    mean = group.sum(masked.sum((2, 3), keepdim=True)) / count
    centred = x_RCLN - mean
    square = centred.square() if weight is None else centred.square() * weight
    var = group.sum(square.sum((2, 3), keepdim=True)) / count
    with torch.no_grad():
        n = count[..., 0, 0]
        step = MOMENTUM * (n > 1).to(n.dtype)
        if active_R is not None:
            step = step * active_R[:, None]
        parameters.running_mean[norm].lerp_(mean[..., 0, 0], step.expand_as(parameters.running_mean[norm]))
        unbiased = var[..., 0, 0] * (n / (n - 1).clamp(min=1))
        parameters.running_var[norm].lerp_(unbiased, step.expand_as(unbiased))
        parameters.batches_tracked[norm] += (step[:, 0] > 0).to(torch.int64)
    return centred * torch.rsqrt(var + EPSILON) * gain + shift
