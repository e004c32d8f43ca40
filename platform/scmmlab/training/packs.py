"""Packs: which requests and folds may train together, and how many at a time."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import TYPE_CHECKING, TypeVar

from scmmlab.config import ExperimentSpec
from scmmlab.config.experiment import TrainedStage
from scmmlab.methods.contract import InputShape
from scmmlab.methods.pretraining_view import pretraining_view
from scmmlab.methods.registry import trainer_of
from scmmlab.training.requests import SweepRequest

if TYPE_CHECKING:  # Ray's broker and controllers pass requests on without torch, which takes seconds to import
    import torch

Item = TypeVar("Item")

# Where nothing was measured: a CPU's cache holds the work of few replicas, a GPU wants many.
CPU_PRETRAIN_PACK = 4
CPU_FINETUNE_PACK = 15
GPU_PACK = 64


def pretrain_pack_size(device: str | torch.device) -> int:
    """Encoders that pre-train together on `device`, at most."""
    return CPU_PRETRAIN_PACK if _on_cpu(device) else GPU_PACK


def finetune_pack_size(device: str | torch.device) -> int:
    """Folds that fine-tune together on `device`, at most."""
    return CPU_FINETUNE_PACK if _on_cpu(device) else GPU_PACK


def _on_cpu(device: str | torch.device) -> bool:
    return str(device).partition(":")[0] == "cpu"


def pack_signature(experiment: ExperimentSpec, stage: TrainedStage, shape: InputShape) -> Hashable:
    """Equal for stages that may share a pack: of one method, and alike in what its trainer says."""
    seen = pretraining_view(experiment) if stage == "pretrain" else experiment
    return experiment.method, trainer_of(experiment).pack_signature(seen, stage, shape)


def packs_pay(experiment: ExperimentSpec, stage: TrainedStage) -> bool:
    """Whether replicas gain by a pack: a method that says nothing of who may share one trains them one by one."""
    return trainer_of(experiment).pack_signature(experiment, stage, InputShape(1, 1, 1)) is not None


def sweep_signature(request: SweepRequest) -> Hashable | None:
    """Equal for settings of one sweep that can train together; None for one that is not pre-trained."""
    if not request.experiment.pretrains:
        return None
    # the settings of a sweep have one transfer, and so the same bands
    return pack_signature(request.experiment, "pretrain", InputShape(len(request.channels), bands=0))


def in_groups(items: Sequence[Item], signature: Callable[[Item], Hashable], size: int) -> list[list[Item]]:
    """`items` in groups of equal `signature`, each cut into the fewest packs of at most `size`, as even as can be."""
    groups: dict[Hashable, list[Item]] = {}
    for item in items:
        groups.setdefault(signature(item), []).append(item)
    return [pack for group in groups.values() for pack in evenly(group, size)]


def evenly(items: Sequence[Item], size: int) -> list[list[Item]]:
    """`items` in the fewest packs of at most `size`, whose sizes differ by one at most."""
    count = -(-len(items) // size)
    return [list(items[len(items) * i // count : len(items) * (i + 1) // count]) for i in range(count)]
