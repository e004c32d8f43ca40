"""The pre-training step: rows from windows and masks, embeddings, both losses and their sum.

Legend: R replica, B window, M copy, N = B + M row of this worker, J row of any worker, C channel, F band.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from scmmlab.methods.scmm.adaptive_weights import weigh
from scmmlab.methods.scmm.augmentation import Mixture
from scmmlab.methods.scmm.comparison import compare, comparison_backward
from scmmlab.methods.scmm.contrast import mixture_weights
from scmmlab.methods.scmm.encoder import ENCODER_NORMS, encoder_backward, encoder_forward, encoder_weights
from scmmlab.methods.scmm.pack_settings import PackSettings
from scmmlab.methods.scmm.projector import project, project_backward
from scmmlab.methods.scmm.reconstruction import (
    count_values,
    counted_values,
    decode,
    decode_backward,
    mean_error,
    squared_error,
    targets,
)
from scmmlab.methods.scmm.soft_weights import WindowTimes, mark_views, soft_weights, weights_in_time
from scmmlab.replica.batch_norm import update_running
from scmmlab.replica.collectives import SINGLE_PROCESS, Collectives
from scmmlab.replica.matmul import MATMULS
from scmmlab.replica.parameters import Parameters
from scmmlab.replica.replicas import joined, parts, pretraining_replicas, spread


class Losses(NamedTuple):
    """What a pre-training step is judged by, of the whole batch; a loss that is disabled is 0."""

    total_R: Tensor
    """The weighed sum."""
    contrast_R: Tensor
    """L_C."""
    reconstruction_R: Tensor
    """L_R."""


def batch_rows(
    x_RBCF: Tensor, keep_RMCF: Tensor | None, settings: PackSettings, copies_RMCF: Tensor | None = None
) -> Tensor:
    """The rows of a batch, [R, N, C, F]: its windows, unless copies stand alone, then their copies, masked values 0.

    Where `overwrite_originals` is set, the windows are masked like their only copies, and both halves are the same.
    Copies are plain ones, unless `copies_RMCF` says what they are before they are masked.
    """
    copies = copies_RMCF
    if copies is None:
        copies = x_RBCF.repeat(1, settings.views, 1, 1) if settings.views > 1 else x_RBCF
    if keep_RMCF is not None:
        copies = copies * keep_RMCF
    if not settings.originals:
        return copies
    windows = x_RBCF
    if settings.any_overwrite and keep_RMCF is not None:
        windows = torch.where(settings.overwrite_originals_R[:, None, None, None], copies, x_RBCF)
    return torch.cat((windows, copies), dim=1)


class BatchViews(NamedTuple):
    """How the copies of a batch were made before they were masked, and when its windows were recorded."""

    copies_RMCF: Tensor | None = None
    """Copies before they are masked; None where they are plain ones."""
    mixture: Mixture | None = None
    """How the whole batch was mixed; None where it was not."""
    times: WindowTimes | None = None
    """When windows were recorded, [R, B]; None where weights do not ask for it."""

    def parts(self, size: int, replicas: int) -> list[BatchViews]:
        """Those of `size` replicas at a time."""
        copies = parts(self.copies_RMCF, size, replicas)
        mixtures: list[Mixture | None] = [None] * len(copies)
        times: list[WindowTimes | None] = [None] * len(copies)
        if self.mixture is not None:
            mixtures = [Mixture(*each) for each in zip(*(one.split(size) for one in self.mixture), strict=True)]
        if self.times is not None:
            times = [WindowTimes(*each) for each in zip(*(one.split(size) for one in self.times), strict=True)]
        return [BatchViews(*each) for each in zip(copies, mixtures, times, strict=True)]


PLAIN = BatchViews()
"""Copies are plain ones, and time is nothing to the weights."""


def contrast_weights(
    x_RNF: Tensor,
    windows: int,
    settings: PackSettings,
    group: Collectives = SINGLE_PROCESS,
    views: BatchViews = PLAIN,
) -> Tensor:
    """Weights w_ij of the contrastive loss, [R, N, J]: soft or 0, and 1 for views of one window."""
    if views.mixture is not None:
        return mixture_weights(views.mixture, windows, group)
    if views.times is not None:
        own = WindowTimes(*(each.repeat(1, settings.rows_per_window) for each in views.times))
        others = WindowTimes(*(group.gather(each, 1) for each in own))
        w = weights_in_time(own, others, settings.upper_bound_R, settings.half_life_R)
    else:
        w = soft_weights(x_RNF, settings, group)
    mark_views(w, windows, settings.rows_per_window, group.rank * x_RNF.shape[1])
    return w


@torch.inference_mode()
def pretraining_gradient(
    parameters: Parameters,
    x_RBCF: Tensor,
    keep_RMCF: Tensor | None,
    settings: PackSettings,
    group: Collectives = SINGLE_PROCESS,
    active_R: Tensor | None = None,
    views: BatchViews = PLAIN,
) -> tuple[Losses, Tensor]:
    """Losses of one pre-training step and their gradient, with as many replicas at a time as the device likes.

    Parameters
    ----------
    parameters : Parameters
        From `initial_pretraining`; running statistics are updated.
    x_RBCF : Tensor, shape=(R, B, C, F)
        The windows; of several workers each has a contiguous part of them (see `collectives`).
    keep_RMCF : Tensor, bool, shape=(R, B·V, C, F), or None
        What each copy keeps, from `masks`; None when nothing is masked.
    settings : PackSettings
        Of the pack.
    group : Collectives
        The workers that share the batch; one alone by default.
    active_R : Tensor, bool, shape=(R,), or None
        Replicas whose running statistics are updated; all when None.
    views : BatchViews
        What else copies are, and when windows were recorded.

    Returns
    -------
    losses : Losses
        The same on all workers.
    gradient : Tensor, shape=(R, n)
        Of the total: `parameters.gradient`, which the next step overwrites. It is the worker's part: the sum over
        workers is the whole.
    """
    size = pretraining_replicas(x_RBCF)
    pieces = zip(
        parameters.parts(size),
        x_RBCF.split(size),
        parts(keep_RMCF, size, len(x_RBCF)),
        settings.parts(size),
        parts(active_R, size, len(x_RBCF)),
        views.parts(size, len(x_RBCF)),
        strict=True,
    )
    found = spread(partial(_step, group=group), pieces, alone=group.workers > 1)
    return Losses(*(joined(losses) for losses in zip(*found, strict=True))), parameters.gradient


def _step(
    parameters: Parameters,
    x_RBCF: Tensor,
    keep_RMCF: Tensor | None,
    settings: PackSettings,
    active_R: Tensor | None,
    views: BatchViews,
    group: Collectives,
) -> Losses:
    """Losses, and the gradient in `parameters.gradient`."""
    matmul = MATMULS[settings.precision]
    rows_RNCF = batch_rows(x_RBCF, keep_RMCF, settings, views.copies_RMCF)
    x_RNF = rows_RNCF.flatten(2)
    replicas, rows, numbers = x_RNF.shape
    everyone = rows * group.workers
    encoded = encoder_forward(encoder_weights(parameters), rows_RNCF, None, group, matmul)
    update_running(parameters, ENCODER_NORMS, encoded.batches, active_R)
    h = encoded.h_REN

    contrast = reconstruction = x_RNF.new_zeros(replicas)
    if settings.any_pairs:
        projected = project(parameters, h, group, settings.active_projectors(active_R), matmul)
        windows = x_RBCF.shape[1]
        w = contrast_weights(x_RNF, windows, settings, group, views) if settings.any_contrast else None
        hidden_copies = 0 if settings.mixup is None else windows
        compared = compare(projected.z_RDN, w, settings, group, hidden_copies)
        contrast = compared.contrast_R
    if settings.any_reconstruct:
        decoded = rebuilt = decode(parameters, h, matmul)
        if settings.any_aggregate:
            decoded_RJF = matmul.operand(group.gather(decoded, 1))
            kept_RNJ = matmul.operand(compared.pairs.kept_RNJ)
            aggregated = matmul.bmm(kept_RNJ, decoded_RJF)
            rebuilt = aggregated if settings.all_aggregate else settings.choose_aggregated(aggregated, decoded)
        # whatever the neighbours do, a replica's errors are summed in the order of its rows
        counted = counted_values(keep_RMCF, settings)
        squared, error_RNF = squared_error(rebuilt.contiguous(), targets(x_RBCF, x_RNF, settings), counted)
        count_R = count_values(counted, group)
        reconstruction = mean_error(squared, everyone * numbers, count_R, settings)

    weighed = weigh(contrast, reconstruction, parameters["awl.params"], settings, 1 / group.workers)
    contrast_slope_R, reconstruction_slope_R = weighed.slope_R2.unbind(1)
    parameters.gradients["awl.params"].copy_(weighed.d_c_R2)

    d_h, d_kept = None, None
    if settings.any_reconstruct:
        d_squared_R = mean_error(reconstruction_slope_R, everyone * numbers, count_R, settings, times=2)
        d_rebuilt = error_RNF.mul_(d_squared_R[:, None, None])
        d_decoded_RFN = d_rebuilt.transpose(1, 2)
        if settings.any_aggregate:
            d_rows = matmul.operand(d_rebuilt)
            d_kept = matmul.bmm(d_rows, decoded_RJF.transpose(1, 2))
            d_aggregated = group.scatter(matmul.bmm(d_rows.transpose(1, 2), kept_RNJ), 2)
            if settings.all_aggregate:
                d_decoded_RFN = d_aggregated
            else:
                d_decoded_RFN = settings.choose_aggregated(d_aggregated, d_decoded_RFN)
                d_kept = settings.choose_aggregated(d_kept, torch.zeros_like(d_kept))
        d_h = decode_backward(d_decoded_RFN, parameters, h, matmul)
    else:
        parameters.zero_gradients("decoder.")
    if settings.any_pairs:
        d_z = comparison_backward(compared, d_kept, contrast_slope_R, settings, group, matmul)
        d_h = project_backward(d_z, projected, parameters, group, d_h, matmul)
    else:
        parameters.zero_gradients("projector.")
    d_h = torch.zeros_like(h, dtype=x_RNF.dtype) if d_h is None else d_h
    encoder_backward(d_h, encoded, None, group, parameters.gradients, matmul)

    own = group.sum(torch.stack((weighed.total_R, contrast, reconstruction)))
    return Losses(own[0], *(own[1:] * settings.loss_R2.T))
