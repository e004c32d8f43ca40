"""Settings of the multilayer perceptron."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from scmmlab.config.base import Spec
from scmmlab.config.experiment import ExperimentSpec, OptimizerSpec, TrainedStage


class MlpTrainingSpec(Spec):
    """Training, once for each fold."""

    epochs: int = Field(50, ge=1)
    """Passes over the fold's fine-tune part."""
    batch_size: int = Field(128, ge=2)
    """Windows a step; the last batch may be smaller."""
    optimizer: OptimizerSpec = OptimizerSpec()
    """Step rule."""


class MlpSpec(ExperimentSpec):
    """An experiment with a multilayer perceptron."""

    method: Literal["mlp"] = "mlp"
    """What is trained."""
    hidden: int = Field(128, ge=1, le=4096)
    """Units of each hidden layer."""
    layers: int = Field(2, ge=1, le=16)
    """Hidden layers."""
    dropout: float = Field(0.3, ge=0, lt=1)
    """Probability that a hidden unit is dropped in training."""
    finetune: MlpTrainingSpec = MlpTrainingSpec()
    """Training."""

    def epochs(self, stage: TrainedStage) -> int:
        """Epochs of a stage."""
        return self.finetune.epochs

    @property
    def test_batch_size(self) -> int:
        """Windows of a batch."""
        return self.finetune.batch_size
