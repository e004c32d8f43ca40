"""The pre-training step: rows from windows and masks, embeddings, both losses and their sum.

Legend: R replica, B window, M copy, N = B + M row, J row of any worker, C channel, F band.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from scmmlab.model.adaptive_weights import total_loss
from scmmlab.model.aggregator import aggregation_weights
from scmmlab.model.batch_norm import batch_norm
from scmmlab.model.collectives import SINGLE_PROCESS, Collectives
from scmmlab.model.contrast import contrastive_loss
from scmmlab.model.encoder import encode_columns
from scmmlab.model.parameters import Parameters
from scmmlab.model.reconstruction import reconstruction_loss
from scmmlab.model.settings import Settings
from scmmlab.model.soft_weights import soft_weights


class Losses(NamedTuple):
    """What a pre-training step is judged by, each [R]; a loss that is disabled is 0."""

    total_R: Tensor
    contrast_R: Tensor
    reconstruction_R: Tensor


def batch_rows(x_RBCF: Tensor, keep_RMCF: Tensor | None, settings: Settings) -> Tensor:
    """The rows of a batch, [R, N, C, F]: its windows, then their masked copies."""
    copies = x_RBCF.repeat(1, settings.views, 1, 1)
    windows = x_RBCF
    if keep_RMCF is not None:
        copies = copies * keep_RMCF
        if settings.any_overwrite:
            windows = torch.where(settings.overwrite_originals_R[:, None, None, None], copies, x_RBCF)
    return torch.cat([windows, copies], dim=1)


def project(
    parameters: Parameters,
    h_RDN: Tensor,
    training: bool,
    group: Collectives = SINGLE_PROCESS,
    active_R: Tensor | None = None,
) -> Tensor:
    """z with rows last, [R, D, N]."""
    y = torch.baddbmm(parameters["projector.0.bias"].unsqueeze(-1), parameters["projector.0.weight"], h_RDN)
    y = batch_norm(parameters, "projector.1", y.unsqueeze(2), training, None, group, active_R).squeeze(2).relu()
    return torch.baddbmm(parameters["projector.3.bias"].unsqueeze(-1), parameters["projector.3.weight"], y)


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
        The windows (of this worker: see `collectives`).
    keep_RMCF : Tensor, bool, shape=(R, B·V, C, F), or None
        From `masks`; None when nothing is masked.
    settings : Settings
        Of the pack.
    group : Collectives
        The workers that share the batch.
    active_R : Tensor, bool, shape=(R,), or None
        Replicas whose running statistics are updated; all when None.

    Returns
    -------
    Losses
        Of the whole batch, on every worker. Gradients by `gradients` are this worker's part of a sum over workers.
    """
    rows_RNCF = batch_rows(x_RBCF, keep_RMCF, settings)
    replicas, rows = rows_RNCF.shape[:2]
    x_RNF = rows_RNCF.reshape(replicas, rows, -1)
    h_RDN = encode_columns(parameters, rows_RNCF, True, None, group, active_R)
    z_RDN = project(parameters, h_RDN, True, group, active_R)
    z_RND = z_RDN.transpose(1, 2)
    first = group.rank * rows
    everyone = rows * group.workers
    s_RNJ = torch.bmm(z_RND / settings.temperature_R[:, None, None], group.gather_rows(z_RND).transpose(1, 2))
    itself = torch.eye(everyone, device=x_RNF.device, dtype=torch.bool)[first : first + rows]
    s_RNJ = s_RNJ.masked_fill(itself, -torch.inf)
    # views of one window: equal number within the worker's windows, and the same worker
    window = torch.arange(everyone, device=x_RNF.device)
    window = window % rows % x_RBCF.shape[1] + window // rows * rows
    same = window[first : first + rows, None] == window[None, :]
    w = soft_weights(x_RNF, settings, first, group)
    w = torch.where(settings.soft_R[:, None, None], w, 0.0)
    w = w.masked_fill(same, 1.0).masked_fill(itself, 0.0)
    contrast = group.sum(contrastive_loss(s_RNJ.log_softmax(-1), w)) / (everyone * (everyone - 1))
    v_RNF = torch.baddbmm(
        parameters["decoder.bias"].unsqueeze(1), h_RDN.transpose(1, 2), parameters["decoder.weight"].transpose(1, 2)
    )
    p = aggregation_weights(s_RNJ, settings.top_k)
    aggregated = torch.bmm(p, group.gather_rows(v_RNF))
    decoded = torch.where(settings.aggregate_R[:, None, None], aggregated, v_RNF)
    reconstruction = group.sum(reconstruction_loss(decoded, x_RNF)) / group.workers
    contrast = torch.where(settings.contrast_R, contrast, 0.0)
    reconstruction = torch.where(settings.reconstruct_R, reconstruction, 0.0)
    return Losses(total_loss(contrast, reconstruction, parameters["awl.params"], settings), contrast, reconstruction)
