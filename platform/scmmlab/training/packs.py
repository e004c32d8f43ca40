"""Packs: which requests and folds may train together, and how many at a time."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import TypeVar

import torch

from scmmlab.config.base import canonical_json
from scmmlab.training.requests import PretrainRequest, SweepRequest

Item = TypeVar("Item")

# A CPU's cache holds the work of few replicas; a GPU wants many (docs/training.md has the measurements).
CPU_PRETRAIN_PACK = 4
CPU_FINETUNE_PACK = 15
GPU_PACK = 64


def pretrain_pack_size(device: str | torch.device) -> int:
    """Encoders that pre-train together on `device`, at most."""
    return CPU_PRETRAIN_PACK if torch.device(device).type == "cpu" else GPU_PACK


def finetune_pack_size(device: str | torch.device) -> int:
    """Folds that fine-tune together on `device`, at most."""
    return CPU_FINETUNE_PACK if torch.device(device).type == "cpu" else GPU_PACK


def group_into_packs(requests: Sequence[PretrainRequest], size: int) -> list[list[PretrainRequest]]:
    """Requests whose tensors fit together, at most `size` in a pack.

    Together go those with the same channels, source, width, views, batch size, batches and epochs; masks, losses,
    temperatures, step sizes, seeds and what else there is may differ. The order is kept, in the packs and of them.

    Parameters
    ----------
    requests : sequence of PretrainRequest
        What is to be pre-trained.
    size : int
        Largest number of requests in a pack; packs of one group have sizes that differ by one at most.
    """
    return in_groups(requests, pretrain_fit, size)


def pretrain_fit(request: PretrainRequest) -> Hashable:
    """Equal for requests whose pre-training has tensors of the same shapes."""
    experiment = request.experiment
    return (
        request.channels,
        # the same source has the same number of windows; nothing else of it matters here
        canonical_json(request.source),
        getattr(experiment.protocol, "pretrain_batches", None),
        experiment.network.width,
        experiment.masking.views,
        experiment.pretrain.batch_size,
        experiment.pretrain.epochs,
    )


def sweep_fit(request: SweepRequest) -> Hashable | None:
    """Equal for settings of a sweep that can train together; None for one that needs no training."""
    if not request.experiment.pretrain.enabled:
        return None
    return pretrain_fit(
        PretrainRequest(request.key, request.experiment, request.seed, request.transfer.source, request.channels)
    )


def in_groups(items: Sequence[Item], fit: Callable[[Item], Hashable], size: int) -> list[list[Item]]:
    """`items` in groups of equal `fit`, each group cut into the fewest packs of at most `size`, as even as can be."""
    groups: dict[Hashable, list[Item]] = {}
    for item in items:
        groups.setdefault(fit(item), []).append(item)
    return [pack for group in groups.values() for pack in _evenly(group, size)]


def _evenly(items: list[Item], size: int) -> list[list[Item]]:
    count = -(-len(items) // size)
    return [items[len(items) * i // count : len(items) * (i + 1) // count] for i in range(count)]
