"""DGCNN's trainer: packs of folds along the replica axis."""

from __future__ import annotations

from scmmlab.config.experiment import TrainedStage
from scmmlab.methods.contract import InputShape
from scmmlab.methods.dgcnn.network import DgcnnNetwork
from scmmlab.methods.dgcnn.spec import DgcnnSpec
from scmmlab.methods.packed import PackedTrainer


class DgcnnTrainer(PackedTrainer):
    """Trains graph and filters together."""

    def weight(self, spec: DgcnnSpec, stage: TrainedStage) -> float:
        """Against a step of SCMM's fine-tuning."""
        return 4.0

    def network(self, spec: DgcnnSpec, shape: InputShape) -> DgcnnNetwork:
        """The network of those settings."""
        return DgcnnNetwork(spec, shape)
