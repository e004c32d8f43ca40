"""The trainer of all deep alignments: packs of folds along the replica axis, with gradients in closed form."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from scmmlab.config.base import canonical_json
from scmmlab.config.experiment import TrainedStage
from scmmlab.methods.contract import FoldRun, InputShape, Trainer
from scmmlab.methods.deep_alignment.alignment import Alignment
from scmmlab.methods.deep_alignment.pack import AlignmentPack
from scmmlab.methods.deep_alignment.spec import DeepAlignmentSpec
from scmmlab.methods.packed import PackedSignature
from scmmlab.methods.scmm.parameters import initial_pretraining
from scmmlab.methods.scmm.shape import Shape
from scmmlab.replica.batches import steps_per_epoch
from scmmlab.replica.seeding import PRETRAIN, derive_seed
from scmmlab.replica.windows import WindowPool


class DeepAlignmentTrainer(Trainer):
    """Trains encoder and classifier on the source, and aligns windows of the target.

    Parameters
    ----------
    alignment : callable
        Settings → how features are aligned.
    weight : float
        Time of a step, in steps of SCMM's fine-tuning.
    """

    def __init__(self, alignment: Callable[[Any], Alignment], weight: float):
        self._alignment, self._weight = alignment, weight

    def steps(self, spec: DeepAlignmentSpec, stage: TrainedStage, windows: int) -> int:
        """Steps of one epoch on so many windows of the source."""
        return max(1, steps_per_epoch(windows, spec.finetune.batch_size, drop_last=False))

    def weight(self, spec: DeepAlignmentSpec, stage: TrainedStage) -> float:
        """Against a step of SCMM's fine-tuning."""
        return self._weight

    def pack_signature(self, spec: DeepAlignmentSpec, stage: TrainedStage, shape: InputShape) -> PackedSignature:
        """Equal for those that may share a pack."""
        shared = spec.model_dump(mode="json", exclude={"scaling", "protocol", "finetune", "alignment"})
        shared["batch_size"], shared["layer"] = spec.finetune.batch_size, spec.alignment.layer
        return PackedSignature(
            shape=replace(shape, names=()),  # how many channels, and not which
            selection=spec.protocol.epoch_selection,
            validates=spec.protocol.validates,
            settings=canonical_json(shared),
        )

    def finetune_pack(self, runs: Sequence[FoldRun], pool: WindowPool) -> AlignmentPack:
        """Folds that train together."""
        return AlignmentPack(runs, pool, self._alignment(runs[0].experiment))

    def initial_state(self, spec: DeepAlignmentSpec, shape: InputShape, seed: int) -> Mapping[str, Tensor]:
        """The encoder that SCMM would start from."""
        sizes = Shape(channels=shape.channels, bands=shape.bands, width=spec.network.width)
        return initial_pretraining(
            sizes, torch.tensor([derive_seed(seed, PRETRAIN)]), "cpu", torch.float32
        ).replica_state(0)
