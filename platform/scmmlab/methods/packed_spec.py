"""Settings that methods trained in packs have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field, ValidationError
from pydantic_core import InitErrorDetails

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

    NOT_GRANTED: ClassVar[Mapping[str, str]] = {}
    """Setting that the paper has → what it would have to see, which it is given under no protocol."""

    finetune: TrainingSpec = TrainingSpec()
    """Training."""

    @classmethod
    def with_present_paths(cls, data: Mapping[str, Any]) -> dict[str, Any]:
        """`data`, nested.

        Raises
        ------
        ValidationError
            If it asks for what it is given under no protocol.
        """
        for name in cls.NOT_GRANTED.keys() & data.keys():
            why = ValueError(f"it needs {cls.NOT_GRANTED[name]}, which it is given under no protocol; leave it out")
            error = InitErrorDetails(type="value_error", loc=(name,), input=data[name], ctx={"error": why})
            raise ValidationError.from_exception_data(cls.__name__, [error])
        return super().with_present_paths(data)

    def epochs(self, stage: TrainedStage) -> int:
        """Epochs of a stage."""
        return self.finetune.epochs

    @property
    def test_batch_size(self) -> int:
        """Windows of a batch."""
        return self.finetune.batch_size
