"""The learned tensors of SCMM, by the released module's names, and what they begin as."""

from __future__ import annotations

import torch
from torch import Tensor

from scmmlab.methods.scmm.shape import Shape
from scmmlab.replica.convolution import KERNEL
from scmmlab.replica.parameters import Parameters, Sizes, initialise, linear_sizes, norm_sizes

NORMS = ("encoder.1", "encoder.5", "encoder.9", "projector.1")
"""The batch norms."""


def encoder_sizes(shape: Shape) -> Sizes:
    """Learned tensors of the encoder."""
    sizes: Sizes = {}
    for block, (inputs, outputs) in enumerate(shape.blocks):
        sizes[f"encoder.{4 * block}.weight"] = (outputs, inputs, KERNEL)
        sizes |= norm_sizes(f"encoder.{4 * block + 1}", outputs)
    return sizes


def pretraining_sizes(shape: Shape) -> Sizes:
    """Learned tensors of pre-training: encoder, projector, adaptive loss weights, decoder."""
    d, e = shape.width, shape.embedding
    return (
        encoder_sizes(shape)
        | linear_sizes("projector.0", e, 2 * d)
        | norm_sizes("projector.1", 2 * d)
        | linear_sizes("projector.3", 2 * d, d)
        | {"awl.params": (2,)}
        | linear_sizes("decoder", e, shape.channels * shape.bands)
    )


def classifier_sizes(shape: Shape) -> Sizes:
    """Learned tensors of the classifier."""
    return linear_sizes("fc", shape.embedding, shape.classifier_width) | linear_sizes(
        "classifier", shape.classifier_width, shape.classes
    )


def initial_pretraining(shape: Shape, seed_R: Tensor, device: torch.device | str, dtype: torch.dtype) -> Parameters:
    """Initial encoder, projector, decoder and loss weights (1) of R replicas, each from its seed alone."""
    parameters = initialise(Parameters(pretraining_sizes(shape), len(seed_R), device, dtype), seed_R.to(device))
    parameters["awl.params"].fill_(1.0)
    return parameters


def initial_classifier(shape: Shape, seed_R: Tensor, device: torch.device | str, dtype: torch.dtype) -> Parameters:
    """Initial classifier of R replicas, each from its seed alone."""
    return initialise(Parameters(classifier_sizes(shape), len(seed_R), device, dtype), seed_R.to(device))
