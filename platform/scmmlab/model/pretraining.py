"""The pre-training step: rows from windows and masks, embeddings, both losses and their sum.

Legend: R replica, B window, M copy, N = B + M row of this worker, J row of any worker, C channel, F band.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from scmmlab.model.adaptive_weights import total_loss
from scmmlab.model.collectives import SINGLE_PROCESS, Collectives, total_over_workers
from scmmlab.model.encoder import encode_columns
from scmmlab.model.pair_softmax import pair_softmax
from scmmlab.model.parameters import Parameters, gradients
from scmmlab.model.projector import project
from scmmlab.model.reconstruction import decode, squared_error
from scmmlab.model.replicas import joined, parts, pretraining_replicas
from scmmlab.model.settings import Settings
from scmmlab.model.soft_weights import mark_views, soft_weights


class Losses(NamedTuple):
    """What a pre-training step is judged by, of the whole batch; a loss that is disabled is 0."""

    total_R: Tensor
    """The weighed sum, to be differentiated."""
    contrast_R: Tensor
    """L_C, without gradient."""
    reconstruction_R: Tensor
    """L_R, without gradient."""


def batch_rows(x_RBCF: Tensor, keep_RMCF: Tensor | None, settings: Settings) -> Tensor:
    """The rows of a batch, [R, N, C, F]: its windows, then their copies, masked values 0.

    Where `overwrite_originals` is set, the windows are masked like their only copies, and both halves are the same.
    """
    copies = x_RBCF.repeat(1, settings.views, 1, 1) if settings.views > 1 else x_RBCF
    if keep_RMCF is None:
        return torch.cat((x_RBCF, copies), dim=1)
    copies = copies * keep_RMCF
    windows = x_RBCF
    if settings.any_overwrite:
        windows = torch.where(settings.overwrite_originals_R[:, None, None, None], copies, x_RBCF)
    return torch.cat((windows, copies), dim=1)


def contrast_weights(x_RNF: Tensor, windows: int, settings: Settings, group: Collectives = SINGLE_PROCESS) -> Tensor:
    """Weights w_ij of the contrastive loss, [R, N, J]: soft or 0, and 1 for views of one window."""
    w = soft_weights(x_RNF, settings, group)
    mark_views(w, windows, settings.views, group.rank * x_RNF.shape[1])
    return w


def pretraining_losses(
    parameters: Parameters,
    x_RBCF: Tensor,
    keep_RMCF: Tensor | None,
    settings: Settings,
    group: Collectives = SINGLE_PROCESS,
    active_R: Tensor | None = None,
) -> Losses:
    """Losses of one pre-training step, with batch norm in training mode.

    Parameters
    ----------
    parameters : Parameters
        From `initial_pretraining`; running statistics are updated.
    x_RBCF : Tensor, shape=(R, B, C, F)
        The windows; of several workers each has a contiguous part of them (see `collectives`).
    keep_RMCF : Tensor, bool, shape=(R, B·V, C, F), or None
        What each copy keeps, from `masks`; None when nothing is masked.
    settings : Settings
        Of the pack.
    group : Collectives
        The workers that share the batch; one alone by default.
    active_R : Tensor, bool, shape=(R,), or None
        Replicas whose running statistics are updated; all when None.

    Returns
    -------
    Losses
        The same on all workers. `gradients` of the total are the worker's part: their sum over workers is the whole.
    """
    rows_RNCF = batch_rows(x_RBCF, keep_RMCF, settings)
    x_RNF = rows_RNCF.flatten(2)
    replicas, rows, numbers = x_RNF.shape
    everyone = rows * group.workers
    h = encode_columns(parameters, rows_RNCF, True, None, group, active_R)

    contrast = reconstruction = x_RNF.new_zeros(replicas)
    p = None
    if settings.any_pairs:
        z = project(parameters, h, group, settings.active_projectors(active_R))
        w = contrast_weights(x_RNF, x_RBCF.shape[1], settings, group) if settings.any_contrast else None
        # s = z zᵀ / τ
        scaled = z / settings.temperature_R[:, None, None]
        p, contrast = pair_softmax(scaled, group.gather(z, 2), w, settings.top_k, group.rank * rows)
        contrast = contrast / (everyone * (everyone - 1))
    if settings.any_reconstruct:
        decoded = decode(parameters, h)
        if p is not None and settings.any_aggregate:
            aggregated = torch.bmm(p, group.gather(decoded, 1))
            decoded = aggregated if settings.all_aggregate else settings.choose_aggregated(aggregated, decoded)
        # whatever the neighbours do, a replica's errors are summed in the order of its rows
        decoded = decoded.contiguous()
        reconstruction = squared_error(decoded, x_RNF) / (everyone * numbers)

    total = total_loss(contrast, reconstruction, parameters["awl.params"], settings, 1 / group.workers)
    parts = group.sum(torch.stack((contrast, reconstruction)).detach())
    return Losses(total_over_workers(total, group), *(parts * settings.loss_R2.T))


def pretraining_gradient(
    parameters: Parameters,
    x_RBCF: Tensor,
    keep_RMCF: Tensor | None,
    settings: Settings,
    group: Collectives = SINGLE_PROCESS,
    active_R: Tensor | None = None,
) -> tuple[Losses, Tensor]:
    """Losses of one pre-training step, and the flat gradient [R, n] of their total.

    As `gradients` of `pretraining_losses`, parameters as there, with as many replicas at a time as the device likes.
    """
    size = pretraining_replicas(x_RBCF)
    found: list[Losses] = []
    gradient: list[Tensor] = []
    for part, x, keep, own, active in zip(
        parameters.parts(size),
        x_RBCF.split(size),
        parts(keep_RMCF, size, len(x_RBCF)),
        settings.parts(size),
        parts(active_R, size, len(x_RBCF)),
        strict=True,
    ):
        losses = pretraining_losses(part, x, keep, own, group, active)
        gradient += gradients(losses.total_R, part)
        found.append(Losses(losses.total_R.detach(), losses.contrast_R, losses.reconstruction_R))
    return Losses(*(joined(losses) for losses in zip(*found, strict=True))), joined(gradient)
