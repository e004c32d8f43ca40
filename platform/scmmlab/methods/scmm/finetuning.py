"""The fine-tuning step, and what a fine-tuned model says of windows.

Its gradient is written out from the loss to the first kernel, without autograd, whose bookkeeping would be a tenth of
so small a step.

Legend: R replica, B window, C channel, F band, K class.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from scmmlab.config.experiment import Precision
from scmmlab.methods.scmm.classifier import classifier_backward, classifier_forward, classifier_weights
from scmmlab.methods.scmm.encoder import (
    ENCODER_NORMS,
    encode_columns,
    encoder_backward,
    encoder_forward,
    encoder_weights,
)
from scmmlab.replica.batch_norm import row_weights, update_running
from scmmlab.replica.collectives import SINGLE_PROCESS
from scmmlab.replica.cross_entropy import cross_entropy
from scmmlab.replica.matmul import MATMULS, Matmul
from scmmlab.replica.parameters import Parameters
from scmmlab.replica.replicas import finetuning_replicas, joined, parts, spread


class FinetuningStep(NamedTuple):
    """What a fine-tuning step finds."""

    loss_R: Tensor
    """Mean cross-entropy over the windows that count; 0 for a replica without any."""
    logits_RBK: Tensor
    """Class logits of the windows."""
    encoder_Rn: Tensor
    """`encoder.gradient`, which the next step overwrites; 0 where the encoder is frozen."""
    classifier_Rn: Tensor
    """`classifier.gradient`, likewise."""


@torch.inference_mode()
def finetuning_gradient(
    encoder: Parameters,
    classifier: Parameters,
    x_RBCF: Tensor,
    label_RB: Tensor,
    row_mask: Tensor | None = None,
    freeze_encoder: bool = False,
    precision: Precision = "float32",
) -> FinetuningStep:
    """Losses, logits and gradients of one fine-tuning step, with as many replicas at a time as the device likes.

    Parameters
    ----------
    encoder, classifier : Parameters
        Of the pack; the encoder's running statistics are updated.
    x_RBCF : Tensor, shape=(R, B, C, F)
        Scaled features, finite.
    label_RB : Tensor, int64, shape=(R, B)
        Classes; of windows that do not count any class will do.
    row_mask : Tensor, bool, shape=(R, B), or None
        The windows that count, for batches of varying size; all when None.
    freeze_encoder : bool
        Leave the encoder alone: running statistics are used and kept, and its gradient is 0.
    precision : str
        Of matrix multiplications (see `matmul`).
    """
    size = _at_a_time(encoder, classifier, x_RBCF)
    pieces = zip(
        encoder.parts(size),
        classifier.parts(size),
        x_RBCF.split(size),
        label_RB.split(size),
        parts(row_mask, size, len(x_RBCF)),
        strict=True,
    )
    found = spread(partial(_step, freeze_encoder=freeze_encoder, matmul=MATMULS[precision]), pieces)
    loss_R, logits_RBK = (joined(tensors) for tensors in zip(*found, strict=True))
    return FinetuningStep(loss_R, logits_RBK, encoder.gradient, classifier.gradient)


def _step(
    encoder: Parameters,
    classifier: Parameters,
    x_RBCF: Tensor,
    label_RB: Tensor,
    row_mask_RB: Tensor | None,
    freeze_encoder: bool,
    matmul: Matmul,
) -> tuple[Tensor, Tensor]:
    """Loss and logits, and the gradients in `encoder.gradient` and `classifier.gradient`."""
    weights, of_classifier = encoder_weights(encoder), classifier_weights(classifier)
    weight_R11B = row_weights(row_mask_RB, x_RBCF.dtype)
    if freeze_encoder:
        h = matmul.operand(encode_columns(encoder, x_RBCF, False))
    else:
        done = encoder_forward(weights, x_RBCF, weight_R11B, SINGLE_PROCESS, matmul)
        update_running(encoder, ENCODER_NORMS, done.batches)
        h = done.h_REN
    logits_RKB, hidden = classifier_forward(of_classifier, h, matmul)
    loss_R, grad_RKB = cross_entropy(logits_RKB, label_RB, row_mask_RB)
    dh = classifier_backward(grad_RKB, classifier, h, hidden, matmul)
    if freeze_encoder:
        encoder.gradient.zero_()
    else:
        encoder_backward(dh, done, weight_R11B, SINGLE_PROCESS, encoder.gradients, matmul)
    return loss_R, logits_RKB.transpose(1, 2)


@torch.inference_mode()
def classify(encoder: Parameters, classifier: Parameters, x_RBCF: Tensor) -> Tensor:
    """Class logits of windows, with running statistics.

    Parameters
    ----------
    encoder, classifier : Parameters
        Of the pack.
    x_RBCF : Tensor, shape=(R, B, C, F)
        Scaled features.

    Returns
    -------
    Tensor, shape=(R, B, classes)
    """
    size = _at_a_time(encoder, classifier, x_RBCF)
    pieces = zip(encoder.parts(size), classifier.parts(size), x_RBCF.split(size), strict=True)
    return joined(spread(_classify, pieces))


def _classify(encoder: Parameters, classifier: Parameters, x_RBCF: Tensor) -> Tensor:
    h_REB = encode_columns(encoder, x_RBCF, False)
    return classifier_forward(classifier_weights(classifier), h_REB)[0].transpose(1, 2)


def _at_a_time(encoder: Parameters, classifier: Parameters, x_RBCF: Tensor) -> int:
    others = [classifier[name].shape[1] for name in ("fc.bias", "classifier.bias")]
    return finetuning_replicas(x_RBCF, encoder["encoder.1.weight"].shape[1], others)
