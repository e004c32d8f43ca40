"""RGNN's trainer: packs of folds along the replica axis."""

from __future__ import annotations

from scmmlab.config.experiment import TrainedStage
from scmmlab.methods.contract import InputShape
from scmmlab.methods.packed import PackedTrainer
from scmmlab.methods.rgnn.network import RgnnNetwork
from scmmlab.methods.rgnn.spec import RgnnSpec


class RgnnTrainer(PackedTrainer):
    """Trains links and filters together."""

    def weight(self, spec: RgnnSpec, stage: TrainedStage) -> float:
        """Against a step of SCMM's fine-tuning."""
        return 0.5

    def network(self, spec: RgnnSpec, shape: InputShape) -> RgnnNetwork:
        """The network of those settings."""
        return RgnnNetwork(spec, shape)
