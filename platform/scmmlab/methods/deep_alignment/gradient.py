"""The gradient of a step: SCMM's fine-tuning on windows of the source, and features of target windows drawn to theirs.

L = CE(g(f(x_s)), y_s) + λ A(a(x_s), a(x_t)): f is the encoder, g the classifier, a one of their layers, A an alignment.

Windows of the target pass the encoder by themselves: batch norm takes the statistics of their own batch, and the
running statistics, by which windows are predicted, are moved by the source alone. So with λ = 0 the step is SCMM's own,
to the last bit.

Legend: R replica, B window of the source, M window of the target, C channel, F band, K class, E number of the
embedding, H hidden unit, N window of either.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from scmmlab.methods.deep_alignment.alignment import Alignment
from scmmlab.methods.deep_alignment.spec import Layer
from scmmlab.methods.scmm.classifier import classifier_backward, classifier_forward, classifier_weights
from scmmlab.methods.scmm.encoder import ENCODER_NORMS, encoder_backward, encoder_forward, encoder_weights
from scmmlab.replica.batch_norm import row_weights, update_running
from scmmlab.replica.collectives import SINGLE_PROCESS
from scmmlab.replica.cross_entropy import cross_entropy
from scmmlab.replica.parameters import Parameters
from scmmlab.replica.replicas import finetuning_replicas, joined, parts, spread


class AlignedWindows(NamedTuple):
    """What a step is given."""

    x_RBCF: Tensor
    """Scaled windows of the source, finite."""
    label_RB: Tensor
    """Their classes."""
    real_RB: Tensor
    """Which of them count."""
    target_RMCF: Tensor
    """Scaled windows of the target, finite; as many as of the source, of which fewer may count."""
    target_real_RM: Tensor
    """Which of them count."""
    weight_R: Tensor
    """λ."""


class AlignedStep(NamedTuple):
    """What a step finds; gradients are in `Parameters.gradient` of what learns."""

    loss_R: Tensor
    """Mean cross-entropy over the source's windows that count; 0 for a replica without any."""
    logits_RBK: Tensor
    """Class logits of the source's windows."""
    alignment_R: Tensor
    """The alignment's loss, without λ."""


@torch.inference_mode()
def aligned_gradient(
    encoder: Parameters,
    classifier: Parameters,
    learned: Parameters | None,
    alignment: Alignment,
    layer: Layer,
    windows: AlignedWindows,
    streams_2R1: Tensor | None = None,
) -> AlignedStep:
    """Losses, logits and gradients of one step, with as many replicas at a time as the device likes.

    Parameters
    ----------
    encoder, classifier : Parameters
        Of the pack; the encoder's running statistics are updated.
    learned : Parameters or None
        What the alignment learns itself.
    alignment : Alignment
        A.
    layer : str
        a: whose numbers are aligned.
    windows : AlignedWindows
        Of the step.
    streams_2R1 : Tensor, int32, shape=(2, R, 1), or None
        Random words, where the alignment draws.
    """
    # 1: the pairs and units of an alignment fill whole vectors where the windows do
    others = [classifier[name].shape[1] for name in ("fc.bias", "classifier.bias")] + [1]
    size = finetuning_replicas(windows.x_RBCF, encoder["encoder.1.weight"].shape[1], others)
    replicas = len(windows.x_RBCF)
    count = -(-replicas // size)
    pieces = zip(
        encoder.parts(size),
        classifier.parts(size),
        [None] * count if learned is None else learned.parts(size),
        map(AlignedWindows._make, zip(*(tensor.split(size) for tensor in windows), strict=True)),
        parts(None, size, replicas) if streams_2R1 is None else streams_2R1.split(size, dim=1),
        strict=True,
    )
    found = spread(partial(_step, alignment=alignment, layer=layer), pieces)
    return AlignedStep(*(joined(tensors) for tensors in zip(*found, strict=True)))


def _step(
    encoder: Parameters,
    classifier: Parameters,
    learned: Parameters | None,
    windows: AlignedWindows,
    streams_2R1: Tensor | None,
    alignment: Alignment,
    layer: Layer,
) -> AlignedStep:
    # what SCMM's fine-tuning does, in its order
    weights, of_classifier = encoder_weights(encoder), classifier_weights(classifier)
    weight_R11B = row_weights(windows.real_RB, windows.x_RBCF.dtype)
    done = encoder_forward(weights, windows.x_RBCF, weight_R11B, SINGLE_PROCESS)
    update_running(encoder, ENCODER_NORMS, done.batches)
    logits_RKB, hidden_RHB = classifier_forward(of_classifier, done.h_REN)
    loss_R, grad_RKB = cross_entropy(logits_RKB, windows.label_RB, windows.real_RB)
    dh = classifier_backward(grad_RKB, classifier, done.h_REN, hidden_RHB)

    weight_R11M = row_weights(windows.target_real_RM, windows.x_RBCF.dtype)
    target = encoder_forward(weights, windows.target_RMCF, weight_R11M, SINGLE_PROCESS)
    if layer == "hidden":
        w1, b1, _, _ = of_classifier
        target_hidden_RHM = torch.baddbmm(b1.unsqueeze(-1), w1, target.h_REN).sigmoid_()
        features = hidden_RHB, target_hidden_RHM
    else:
        features = done.h_REN, target.h_REN
    pull = alignment(*features, windows.real_RB, windows.target_real_RM, learned, streams_2R1)
    of_features = [windows.weight_R.view(-1, 1, 1) * own for own in (pull.source_RDN, pull.target_RDM)]
    if layer == "hidden":
        embeddings = done.h_REN, target.h_REN
        of_features = [
            _hidden_backward(grad, classifier, h, u)
            for grad, h, u in zip(of_features, embeddings, features, strict=True)
        ]

    encoder_backward(dh.add_(of_features[0]), done, weight_R11B, SINGLE_PROCESS, encoder.gradients)
    of_target = torch.empty_like(encoder.gradient)
    encoder_backward(of_features[1], target, weight_R11M, SINGLE_PROCESS, encoder.named(of_target))
    encoder.gradient.add_(of_target)
    return AlignedStep(loss_R, logits_RKB.transpose(1, 2), pull.loss_R)


def _hidden_backward(grad_RHN: Tensor, classifier: Parameters, h_REN: Tensor, u_RHN: Tensor) -> Tensor:
    """The gradient of the embedding, from that of the hidden units u = σ(W₁ h + b₁); the layer's is added to what is in
    `classifier.gradients`.
    """
    # σ' = σ (1 − σ)
    da_RHN = grad_RHN * u_RHN * (1 - u_RHN)
    classifier.gradients["fc.bias"].add_(da_RHN.sum(-1))
    classifier.gradients["fc.weight"].baddbmm_(da_RHN, h_REN.transpose(1, 2))
    return torch.bmm(classifier["fc.weight"].transpose(1, 2), da_RHN)
