"""Packs: which requests and folds may train together, and how many at a time."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch

from scmmlab.config import ExperimentSpec, ReleasedProtocol
from scmmlab.config.experiment import Precision
from scmmlab.methods.scmm.finetune_pack import Mode
from scmmlab.training.requests import SweepRequest

Item = TypeVar("Item")

# Where nothing was measured: a CPU's cache holds the work of few replicas, a GPU wants many.
CPU_PRETRAIN_PACK = 4
CPU_FINETUNE_PACK = 15
GPU_PACK = 64


def pretrain_pack_size(device: str | torch.device) -> int:
    """Encoders that pre-train together on `device`, at most."""
    return CPU_PRETRAIN_PACK if torch.device(device).type == "cpu" else GPU_PACK


def finetune_pack_size(device: str | torch.device) -> int:
    """Folds that fine-tune together on `device`, at most."""
    return CPU_FINETUNE_PACK if torch.device(device).type == "cpu" else GPU_PACK


@dataclass(frozen=True)
class PretrainFit:
    """What pre-trainings that share a pack have in common; everything else may differ."""

    channels: int
    """How many; which they are is nothing to the tensors, so that sources of different corpora fit together."""
    bands: int
    width: int
    views: int
    batch_size: int
    precision: Precision


@dataclass(frozen=True)
class FinetuneFit:
    """What fine-tunings that share a pack have in common; everything else may differ."""

    channels: int
    bands: int
    classes: int
    width: int
    classifier_width: int
    batch_size: int
    precision: Precision
    mode: Mode
    validates: bool
    """Whether there is a validation part."""


def pretrain_fit(experiment: ExperimentSpec, channels: int, bands: int) -> PretrainFit:
    """The fit of an experiment's pre-training on windows of so many channels and bands."""
    return PretrainFit(
        channels=channels,
        bands=bands,
        width=experiment.network.width,
        views=experiment.masking.views,
        batch_size=experiment.pretrain.batch_size,
        precision=experiment.precision,
    )


def finetune_fit(experiment: ExperimentSpec, channels: int, bands: int, classes: int) -> FinetuneFit:
    """The fit of an experiment's fine-tuning, by whatever protocol, on windows of so many channels and bands."""
    return FinetuneFit(
        channels=channels,
        bands=bands,
        classes=classes,
        width=experiment.network.width,
        classifier_width=experiment.network.classifier_width,
        batch_size=experiment.finetune.batch_size,
        precision=experiment.precision,
        mode=Mode.of(experiment),
        validates=not isinstance(experiment.protocol, ReleasedProtocol),
    )


def sweep_fit(request: SweepRequest) -> Hashable | None:
    """Equal for settings of one sweep that can train together; None for one that needs no training."""
    if not request.experiment.pretrain.enabled:
        return None
    # the settings of a sweep have one transfer, and so the same bands
    return pretrain_fit(request.experiment, len(request.channels), bands=0)


def in_groups(items: Sequence[Item], fit: Callable[[Item], Hashable], size: int) -> list[list[Item]]:
    """`items` in groups of equal `fit`, each group cut into the fewest packs of at most `size`, as even as can be."""
    groups: dict[Hashable, list[Item]] = {}
    for item in items:
        groups.setdefault(fit(item), []).append(item)
    return [pack for group in groups.values() for pack in evenly(group, size)]


def evenly(items: Sequence[Item], size: int) -> list[list[Item]]:
    """`items` in the fewest packs of at most `size`, whose sizes differ by one at most."""
    count = -(-len(items) // size)
    return [list(items[len(items) * i // count : len(items) * (i + 1) // count]) for i in range(count)]
