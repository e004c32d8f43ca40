"""The fine-tuning step: class logits of windows, and their cross-entropy."""

from __future__ import annotations

from itertools import repeat

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from scmmlab.model.classifier import classify_embedding
from scmmlab.model.encoder import encode_columns
from scmmlab.model.parameters import Parameters
from scmmlab.model.replicas import finetuning_replicas, split


def classify(
    encoder: Parameters,
    classifier: Parameters,
    x_RBCF: Tensor,
    training: bool,
    row_mask: Tensor | None = None,
    freeze_encoder: bool = False,
) -> Tensor:
    """Class logits of windows.

    Parameters
    ----------
    encoder, classifier : Parameters
        Of the pack; in training the encoder's running statistics are updated.
    x_RBCF : Tensor, shape=(R, B, C, F)
        Scaled features.
    training : bool
        Whether batch norm uses the batch's statistics.
    row_mask : Tensor, bool, shape=(R, B), or None
        In training, the windows that count, for batches of varying size.
    freeze_encoder : bool
        In training, leave the encoder alone: running statistics are used and kept, and no gradient flows into it.

    Returns
    -------
    Tensor, shape=(R, B, classes)
    """
    size = finetuning_replicas(x_RBCF, [encoder["encoder.1.weight"].shape[1], classifier["fc.bias"].shape[1]])
    if len(x_RBCF) <= size:
        return _classify(encoder, classifier, x_RBCF, training and not freeze_encoder, row_mask)
    parts = zip(
        encoder.split(size),
        classifier.split(size),
        x_RBCF.split(size),
        repeat(training and not freeze_encoder),
        split(row_mask, size, len(x_RBCF)),
    )
    return torch.cat([_classify(*part) for part in parts])


def _classify(
    encoder: Parameters, classifier: Parameters, x_RBCF: Tensor, training: bool, row_mask_RB: Tensor | None
) -> Tensor:
    # in evaluation mode no gradient flows into the encoder
    return classify_embedding(classifier, encode_columns(encoder, x_RBCF, training, row_mask_RB)).transpose(1, 2)


def finetuning_loss(logits_RBK: Tensor, label_RB: Tensor, row_mask: Tensor | None = None) -> Tensor:
    """Mean cross-entropy over the windows that count, [R]; 0 for a replica without any."""
    loss_RB = cross_entropy(logits_RBK.flatten(0, 1), label_RB.flatten(), reduction="none").view_as(label_RB)
    if row_mask is None:
        return loss_RB.mean(1)
    return torch.where(row_mask, loss_RB, 0.0).sum(1) / row_mask.sum(1).clamp(min=1)
