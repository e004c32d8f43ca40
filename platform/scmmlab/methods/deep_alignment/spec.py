"""Settings of the methods that align features of source and target windows in SCMM's network."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from scmmlab.config.base import Spec
from scmmlab.config.experiment import OptimizerSpec, Precision
from scmmlab.config.protocol import ProtocolSpec, UdaInductiveProtocol
from scmmlab.methods.packed_spec import PackedSpec, TrainingSpec
from scmmlab.methods.scmm.spec import NetworkSpec

Layer = Literal["hidden", "embedding"]
GRANTING = ("uda_inductive", "uda_transductive")
"""Protocols that grant windows of the target without their labels."""


class AlignmentSpec(Spec):
    """How strongly features are aligned, and which."""

    weight: float = Field(1.0, ge=0, le=1e9)
    """λ, what the alignment weighs beside the cross-entropy; with 0 the network is trained as if there were none."""
    schedule: Literal["ramp", "constant"] = "ramp"
    """`ramp`: λ times 2 / (1 + exp(−10 p)) − 1, which rises from 0 to 1 with the share p of the steps that are done;
    `constant`: λ from the first step on."""
    layer: Layer = "hidden"
    """Whose numbers are aligned: `hidden`, the units of the classifier's hidden layer; `embedding`, the encoder's."""


class AlignedTrainingSpec(TrainingSpec):
    """Training of encoder and classifier, once for each fold."""

    epochs: int = Field(50, ge=1)
    """Passes over the source's windows."""
    batch_size: int = Field(128, ge=2)
    """Windows of the source a step, of which the last batch may be smaller; and of the target, at most."""
    optimizer: OptimizerSpec = OptimizerSpec()
    """Step rule."""
    freeze_encoder: ClassVar[bool] = False
    """Of what SCMM's fine-tuning may do otherwise: the encoder learns."""


class DeepAlignmentSpec(PackedSpec):
    """An experiment with SCMM's network, not pre-trained, and an alignment."""

    protocol: ProtocolSpec = UdaInductiveProtocol()
    """Who may see what, and which epoch is judged."""
    network: NetworkSpec = NetworkSpec()
    """Sizes of the network."""
    alignment: AlignmentSpec = AlignmentSpec()
    """How strongly features are aligned, and which."""
    finetune: AlignedTrainingSpec = AlignedTrainingSpec()
    """Training."""

    # of what SCMM's fine-tuning may do otherwise
    precision: ClassVar[Precision] = "float32"
    zeroes_gradients: ClassVar[bool] = True
    reloads_best_training: ClassVar[bool] = False
    constant_learning_rate: ClassVar[bool] = False

    def contradictions(self) -> list[tuple[str, str]]:
        """A protocol that grants no window to align with."""
        kind = self.protocol.kind
        if kind in GRANTING:
            return []
        granting = " or ".join(map(repr, GRANTING))
        message = (
            f"it must be {granting} for '{self.method}', which aligns windows of the target without their labels, and "
            f"no other protocol grants them, got {kind!r}"
        )
        return [("protocol.kind", message)]


class DannSpec(DeepAlignmentSpec):
    """An experiment with a domain-adversarial network."""

    method: Literal["dann"] = "dann"
    """What is trained."""
    domain_width: int = Field(64, ge=1, le=4096)
    """Hidden units of the domain classifier."""
    domain_dropout: float = Field(0.5, ge=0, lt=1)
    """Probability that one of them is dropped."""


class DdcSpec(DeepAlignmentSpec):
    """An experiment with the distance of means."""

    method: Literal["ddc"] = "ddc"
    """What is trained."""


class DanSpec(DeepAlignmentSpec):
    """An experiment with the discrepancy by several kernels."""

    method: Literal["dan"] = "dan"
    """What is trained."""
    alignment: AlignmentSpec = AlignmentSpec(weight=0.1)
    """How strongly features are aligned, and which."""
    pairs: Literal["all", "consecutive"] = "all"
    """Rows of a batch that are compared. `all`: each with each; `consecutive`: each with the next one, the estimate
    that takes linear time and has no bias."""
    bandwidth: float | None = Field(None, gt=0, le=1e9)
    """σ² of the middle kernel; when absent, the mean squared distance of two rows of the batch."""


class DeepCoralSpec(DeepAlignmentSpec):
    """An experiment with the distance of covariances."""

    method: Literal["deep_coral"] = "deep_coral"
    """What is trained."""
    alignment: AlignmentSpec = AlignmentSpec(weight=1e4)
    """How strongly features are aligned, and which; the loss divides by the square of how many there are."""
