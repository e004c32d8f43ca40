"""SCMM's trainer: packs along the replica axis, with gradients in closed form."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from scmmlab.config.base import canonical_json
from scmmlab.config.experiment import Precision, TrainedStage
from scmmlab.methods.contract import FoldRun, InputShape, PretrainRun, Trainer
from scmmlab.methods.pretraining_view import flattened, seen_by_pretraining
from scmmlab.methods.scmm.encoder import encode
from scmmlab.methods.scmm.finetune_pack import FinetunePack, Mode
from scmmlab.methods.scmm.key_rules import PER_REPLICA
from scmmlab.methods.scmm.parameters import encoder_sizes, initial_pretraining
from scmmlab.methods.scmm.pretrain_pack import PretrainPack, pretrain_shape
from scmmlab.methods.scmm.spec import ScmmSpec
from scmmlab.replica.batches import steps_per_epoch
from scmmlab.replica.collectives import Collectives
from scmmlab.replica.parameters import Parameters
from scmmlab.replica.seeding import PRETRAIN, derive_seed
from scmmlab.replica.windows import WindowPool, Windows


@dataclass(frozen=True)
class PretrainSignature:
    """What pre-trainings that share a pack have in common; everything else may differ."""

    channels: int
    """How many; which they are is nothing to the tensors, so that sources of different corpora fit together."""
    bands: int
    width: int
    views: int
    batch_size: int
    precision: Precision
    others: str
    """Settings that neither stand above nor are named in `PER_REPLICA`: those that nobody has thought of yet."""


@dataclass(frozen=True)
class FinetuneSignature:
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


class ScmmTrainer(Trainer):
    """Pre-trains encoders, and fine-tunes encoder and classifier on folds."""

    def steps(self, spec: ScmmSpec, stage: TrainedStage, windows: int) -> int:
        """Steps of one epoch of a stage on so many windows."""
        if stage == "pretrain":
            return max(1, steps_per_epoch(spec.pretrain_windows(windows), spec.pretrain.batch_size, drop_last=True))
        return max(1, steps_per_epoch(windows, spec.finetune.batch_size, drop_last=False))

    def pack_signature(self, spec: ScmmSpec, stage: TrainedStage, shape: InputShape) -> Hashable:
        """Equal for those that may share a pack."""
        if stage == "pretrain":
            shared = flattened(seen_by_pretraining(spec, PER_REPLICA))
            del shared["method"]
            return PretrainSignature(
                channels=shape.channels,
                bands=shape.bands,
                width=shared.pop("network.width"),
                views=shared.pop("masking.views"),
                batch_size=shared.pop("pretrain.batch_size"),
                precision=shared.pop("precision"),
                others=canonical_json(shared),
            )
        return FinetuneSignature(
            channels=shape.channels,
            bands=shape.bands,
            classes=shape.classes,
            width=spec.network.width,
            classifier_width=spec.network.classifier_width,
            batch_size=spec.finetune.batch_size,
            precision=spec.precision,
            mode=Mode.of(spec),
            validates=spec.protocol.validates,
        )

    def pretrain_pack(self, runs: Sequence[PretrainRun], pool: Windows, group: Collectives) -> PretrainPack:
        """Encoders that train together."""
        return PretrainPack(runs, pool, group)

    def finetune_pack(self, runs: Sequence[FoldRun], pool: WindowPool) -> FinetunePack:
        """Folds that train together."""
        return FinetunePack(runs, pool)

    def initial_state(self, spec: ScmmSpec, shape: InputShape, seed: int) -> Mapping[str, Tensor]:
        """The encoder that pre-training would start from."""
        seed_R = torch.tensor([derive_seed(seed, PRETRAIN)])
        sizes = pretrain_shape(spec, shape.channels, shape.bands)
        return initial_pretraining(sizes, seed_R, "cpu", torch.float32).replica_state(0)

    def embed(self, spec: ScmmSpec, state: Mapping[str, Tensor], x_NCF: Tensor) -> Tensor:
        """The encoder's h, with running statistics."""
        _, channels, bands = x_NCF.shape
        sizes = encoder_sizes(pretrain_shape(spec, channels, bands))
        encoder = Parameters(sizes, 1, x_NCF.device, x_NCF.dtype)
        encoder.load_replica(0, state)
        with torch.no_grad():
            return encode(encoder, x_NCF.unsqueeze(0), False)[0]
