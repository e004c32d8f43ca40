"""Settings of BiDANN."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field

from scmmlab.config.experiment import OptimizerSpec
from scmmlab.errors import SpecError
from scmmlab.methods.bidann.hemispheres import hemispheres
from scmmlab.methods.packed_spec import PackedSpec, TrainingSpec


class BidannSpec(PackedSpec):
    """An experiment with BiDANN."""

    NOT_GRANTED: ClassVar[Mapping[str, str]] = {
        "domain_adversarial": "unlabelled windows of the target (it makes those of source and target look alike)"
    }

    method: Literal["bidann"] = "bidann"
    """What is trained."""
    time_steps: int = Field(9, ge=1, le=64)
    """Windows of a trial that are seen together: the one that is told, and those before it. At the beginning of a trial
    its first window stands for those that are not there."""
    hidden: int = Field(128, ge=1, le=1024)
    """Units of each layer of the recurrent networks."""
    time_slots: int = Field(8, ge=1, le=64)
    """Mixtures of the time steps that are kept."""
    dropout: float = Field(0.3, ge=0, lt=1)
    """Probability that a number is dropped between the two recurrent layers."""
    dense: int = Field(512, ge=1, le=4096)
    """Units of the classifier's first layer."""
    dense_last: int = Field(128, ge=1, le=4096)
    """Units of its second layer."""
    finetune: TrainingSpec = TrainingSpec(
        batch_size=16, optimizer=OptimizerSpec(learning_rate=4e-5, beta2=0.999, weight_decay=5e-5)
    )
    """Training."""

    def unfit(self, channels: tuple[str, ...], classes: tuple[str, ...]) -> str | None:
        """Why it cannot be trained on these channels; None where it can."""
        try:
            hemispheres(channels)
        except SpecError as error:
            return str(error)
        return None
