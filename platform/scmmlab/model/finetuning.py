"""The fine-tuning step: class logits of windows, and their cross-entropy."""

from __future__ import annotations

from itertools import repeat
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from scmmlab.model.classifier import classify_embedding
from scmmlab.model.encoder import encode_columns
from scmmlab.model.parameters import Parameters, gradients
from scmmlab.model.replicas import finetuning_replicas, joined, parts


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
    training = training and not freeze_encoder
    if torch.is_grad_enabled():
        return _classify(encoder, classifier, x_RBCF, training, row_mask)
    size = _at_a_time(encoder, classifier, x_RBCF)
    return joined(
        [
            _classify(*part)
            for part in zip(
                encoder.parts(size),
                classifier.parts(size),
                x_RBCF.split(size),
                repeat(training),
                parts(row_mask, size, len(x_RBCF)),
            )
        ]
    )


def _at_a_time(encoder: Parameters, classifier: Parameters, x_RBCF: Tensor) -> int:
    others = [classifier[name].shape[1] for name in ("fc.bias", "classifier.bias")]
    return finetuning_replicas(x_RBCF, encoder["encoder.1.weight"].shape[1], others)


def _classify(
    encoder: Parameters, classifier: Parameters, x_RBCF: Tensor, training: bool, row_mask_RB: Tensor | None
) -> Tensor:
    # in evaluation mode no gradient flows into the encoder
    return classify_embedding(classifier, encode_columns(encoder, x_RBCF, training, row_mask_RB)).transpose(1, 2)


class _CrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits_RKB: Tensor, label_RB: Tensor, weight_RB: Tensor | None) -> Tensor:
        label_R1B = label_RB.unsqueeze(1)
        log_p = logits_RKB.log_softmax(1)
        picked_RB = log_p.gather(1, label_R1B).squeeze(1)
        if weight_RB is None:
            ctx.save_for_backward(log_p, label_R1B, None, None)
            return -picked_RB.mean(1)
        count_R1 = weight_RB.sum(1, keepdim=True).clamp_(min=1)
        ctx.save_for_backward(log_p, label_R1B, weight_RB, count_R1)
        return -(picked_RB * weight_RB).sum(1) / count_R1.squeeze(1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_R: Tensor) -> tuple[Tensor | None, ...]:
        log_p, label_R1B, weight_RB, count_R1 = ctx.saved_tensors
        # ∂L/∂logits = (p − one-hot) / B
        share_R1 = grad_R.unsqueeze(1) / (log_p.shape[2] if count_R1 is None else count_R1)
        share_RB = share_R1 if weight_RB is None else weight_RB * share_R1
        p = log_p.exp()
        p.scatter_add_(1, label_R1B, p.new_full((1, 1, 1), -1).expand_as(label_R1B))
        return p.mul_(share_RB.unsqueeze(1)), None, None


def finetuning_loss(logits_RBK: Tensor, label_RB: Tensor, row_mask: Tensor | None = None) -> Tensor:
    """Mean cross-entropy over the windows that count, [R]; 0 for a replica without any."""
    weight_RB = None if row_mask is None else row_mask.to(logits_RBK.dtype)
    loss_R: Tensor = _CrossEntropy.apply(logits_RBK.transpose(1, 2), label_RB, weight_RB)
    return loss_R


class FinetuningStep(NamedTuple):
    """What a fine-tuning step finds."""

    loss_R: Tensor
    """Mean cross-entropy."""
    logits_RBK: Tensor
    """Class logits of the windows."""
    encoder_Rn: Tensor
    """Flat gradient of the encoder, 0 where it is frozen."""
    classifier_Rn: Tensor
    """Flat gradient of the classifier."""


def finetuning_gradient(
    encoder: Parameters,
    classifier: Parameters,
    x_RBCF: Tensor,
    label_RB: Tensor,
    row_mask: Tensor | None = None,
    freeze_encoder: bool = False,
) -> FinetuningStep:
    """Losses, logits and gradients of one fine-tuning step.

    As `gradients` of `finetuning_loss` of `classify` in training mode, parameters as there, with as many replicas at a
    time as the device likes.
    """
    size = _at_a_time(encoder, classifier, x_RBCF)
    found = []
    for own_encoder, own_classifier, x, label, mask in zip(
        encoder.parts(size),
        classifier.parts(size),
        x_RBCF.split(size),
        label_RB.split(size),
        parts(row_mask, size, len(x_RBCF)),
        strict=True,
    ):
        logits = classify(own_encoder, own_classifier, x, True, mask, freeze_encoder)
        loss = finetuning_loss(logits, label, mask)
        found.append((loss.detach(), logits.detach(), *gradients(loss, own_encoder, own_classifier)))
    return FinetuningStep(*(joined(tensors) for tensors in zip(*found, strict=True)))
