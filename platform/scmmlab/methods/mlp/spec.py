"""Settings of the multilayer perceptron."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from scmmlab.config.base import Spec
from scmmlab.config.experiment import OptimizerSpec, TrainedStage
from scmmlab.methods.alignment.spec import AlignedSpec


class MlpTrainingSpec(Spec):
    """Training, once for each fold."""

    epochs: int = Field(50, ge=1)
    """Passes over the fold's fine-tune part."""
    batch_size: int = Field(128, ge=2)
    """Windows a step; the last batch may be smaller."""
    optimizer: OptimizerSpec = OptimizerSpec()
    """Step rule."""


class MlpSpec(AlignedSpec):
    """An experiment with a multilayer perceptron."""

    method: Literal["mlp"] = "mlp"
    """What is trained."""
    hidden: int = Field(128, ge=1, le=4096)
    """Units of each hidden layer, or of the first."""
    layers: int = Field(2, ge=1, le=16)
    """Hidden layers."""
    widths: Literal["equal", "halving"] = "equal"
    """`halving`: each hidden layer has half as many units as the one before (256, 128, 64)."""
    norm: Literal["none", "batch", "layer"] = "none"
    """What normalises a hidden layer's units before they are rectified: each unit over the batch, or each window over
    its units."""
    dropout: float = Field(0.3, ge=0, lt=1)
    """Probability that a hidden unit is dropped in training."""
    finetune: MlpTrainingSpec = MlpTrainingSpec()
    """Training."""

    @property
    def hidden_widths(self) -> list[int]:
        """Units of the hidden layers, in their order."""
        return [self.hidden >> layer if self.widths == "halving" else self.hidden for layer in range(self.layers)]

    def contradictions(self) -> list[tuple[str, str]]:
        """Halving that leaves a layer without a unit, and those of alignment."""
        found = super().contradictions()
        if not self.hidden_widths[-1]:
            least = 2 ** (self.layers - 1)
            found.append(
                ("hidden", f"it must be at least {least} with {self.layers} layers that halve, got {self.hidden}")
            )
        return found

    def epochs(self, stage: TrainedStage) -> int:
        """Epochs of a stage."""
        return self.finetune.epochs

    @property
    def test_batch_size(self) -> int:
        """Windows of a batch."""
        return self.finetune.batch_size
