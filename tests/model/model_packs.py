"""Small packs for the tests of the model."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from scmmlab.methods.scmm.augmentation import augmented
from scmmlab.methods.scmm.masking import mask_streams, masks
from scmmlab.methods.scmm.pack_settings import PackSettings
from scmmlab.methods.scmm.parameters import initial_pretraining
from scmmlab.methods.scmm.pretraining import BatchViews, pretraining_gradient
from scmmlab.methods.scmm.shape import Shape
from scmmlab.methods.scmm.spec import ScmmSpec
from scmmlab.replica.optimizer import Adam
from scmmlab.replica.parameters import Parameters

SHAPE = Shape(channels=6, bands=5, width=8, classifier_width=10, classes=3)


def experiment(**changes: Any) -> ScmmSpec:
    """The published settings but for dotted paths with a double underscore: ``experiment(masking__mode="random")``."""
    settings = ScmmSpec(network={"width": SHAPE.width}).model_dump()
    for path, value in changes.items():
        part, _, name = path.partition("__")
        settings[part][name] = value
    return ScmmSpec.model_validate(settings)


def windows(
    replicas: int, batch: int, seed: int = 0, shape: Shape = SHAPE, dtype: torch.dtype = torch.float64
) -> Tensor:
    """Uniform windows [R, B, C, F]."""
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(replicas, batch, shape.channels, shape.bands, generator=generator, dtype=torch.float64).to(dtype)


def pack(
    experiments: list[ScmmSpec],
    seeds: list[int] | None = None,
    overwrite: list[bool] | None = None,
    dtype: torch.dtype = torch.float64,
    shape: Shape = SHAPE,
) -> tuple[Parameters, PackSettings, Tensor]:
    """Initial parameters, settings and seeds."""
    seed_R = torch.tensor(seeds or list(range(len(experiments))))
    settings = PackSettings.stack(experiments, overwrite or [False] * len(experiments), "cpu", dtype)
    return initial_pretraining(shape, seed_R, "cpu", dtype), settings, seed_R


def train(
    parameters: Parameters, settings: PackSettings, seed_R: Tensor, x_RBCF: Tensor, steps: int
) -> tuple[Parameters, Tensor]:
    """Some pre-training steps on the same windows; the parameters and the losses [steps, 3, R]."""
    adam = Adam(parameters.values, [e.pretrain.optimizer for e in settings.experiments])
    rate_R = torch.tensor([e.pretrain.optimizer.learning_rate for e in settings.experiments], dtype=x_RBCF.dtype)
    history = []
    for step in range(steps):
        keep = masks(settings, seed_R, 0, step, x_RBCF.shape[1], *x_RBCF.shape[2:])
        how = BatchViews(*augmented(x_RBCF, mask_streams(seed_R, 0, step), settings))
        losses, gradient = pretraining_gradient(parameters, x_RBCF, keep, settings, views=how)
        adam.step(parameters.values, gradient, rate_R)
        history.append(torch.stack(losses))
    return parameters, torch.stack(history)
