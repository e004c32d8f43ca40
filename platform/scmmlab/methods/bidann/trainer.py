"""BiDANN's trainer: packs of folds along the replica axis."""

from __future__ import annotations

from scmmlab.config.experiment import TrainedStage
from scmmlab.methods.bidann.network import BidannNetwork
from scmmlab.methods.bidann.spec import BidannSpec
from scmmlab.methods.contract import InputShape
from scmmlab.methods.packed import PackedTrainer


class BidannTrainer(PackedTrainer):
    """Trains extractors and classifier together."""

    def weight(self, spec: BidannSpec, stage: TrainedStage) -> float:
        """Against a step of SCMM's fine-tuning."""
        return 15.0

    def network(self, spec: BidannSpec, shape: InputShape) -> BidannNetwork:
        """The network of those settings."""
        return BidannNetwork(spec, shape)
