"""Settings that methods trained in packs have in common."""

from __future__ import annotations

from pydantic import Field

from scmmlab.config.base import Spec
from scmmlab.config.experiment import ExperimentSpec, OptimizerSpec, TrainedStage


class TrainingSpec(Spec):
    """Training, once for each fold."""

    epochs: int = Field(80, ge=1)
    """Passes over the fold's fine-tune part."""
    batch_size: int = Field(32, ge=2)
    """Windows a step; the last batch may be smaller."""
    optimizer: OptimizerSpec = OptimizerSpec(learning_rate=1.5e-3, beta2=0.999, weight_decay=1e-4)
    """Step rule."""


class PackedSpec(ExperimentSpec):
    """An experiment whose folds train together, without pre-training."""

    finetune: TrainingSpec = TrainingSpec()
    """Training."""

    def epochs(self, stage: TrainedStage) -> int:
        """Epochs of a stage."""
        return self.finetune.epochs

    @property
    def test_batch_size(self) -> int:
        """Windows of a batch."""
        return self.finetune.batch_size
