"""What one cell does: the model's switches, how it is trained, and how it is judged.

The defaults are the published settings of SCMM for the transfer SEED-IV to SEED (arXiv 2408.09186 and its code).
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from scmmlab.config.base import Spec
from scmmlab.config.protocol import HonestProtocol, ProtocolSpec

MaskMode = Literal["none", "random", "channel", "parallel", "hybrid"]
Distance = Literal["cosine", "euclidean", "manhattan"]
ScalingKind = Literal["min_max", "standard", "none"]
Precision = Literal["float32", "bf16"]


class NetworkSpec(Spec):
    """Sizes of the network."""

    width: int = Field(128, ge=8, le=1024, multiple_of=4)
    """Channels D of the encoder's last block; the blocks have D/4, D/2 and D, and the embedding z has D."""
    classifier_width: int = Field(128, ge=1, le=4096)
    """Units of the classifier's hidden layer."""


class MaskingSpec(Spec):
    """Which input values a view hides."""

    mode: MaskMode = "hybrid"
    """`random`: each value; `channel`: whole channels; `parallel`: each sample draws one of the two; `hybrid`: each
    channel of each sample draws; `none`: views are plain copies."""
    ratio: float = Field(0.5, ge=0, lt=1)
    """Probability that a value (or channel) is hidden."""
    threshold: float = Field(0.1, ge=0, le=1)
    """`parallel` and `hybrid`: a uniform draw above it means `random`, else `channel`."""
    views: int = Field(1, ge=1, le=8)
    """Masked copies V of each window."""


class ContrastSpec(Spec):
    """The soft contrastive loss."""

    enabled: bool = True
    """Whether the loss takes part at all. The aggregator uses `temperature` even where it does not."""
    weights: Literal["soft", "hard"] = "soft"
    """`soft`: pairs weigh by their distance in the input; `hard`: 1 for views of one window, 0 for the rest."""
    distance: Distance = "cosine"
    """Distance of two input rows."""
    upper_bound: float = Field(0.5, gt=0, le=1)
    """Largest weight α of a pair that are not views of one window."""
    soft_weight_temperature: float = Field(0.05, gt=0, le=100)
    """τ_s, how sharply weights fall with distance (the released code calls it sharpness)."""
    temperature: float = Field(0.5, gt=0, le=100)
    """τ of the similarities in the contrastive softmax and in the aggregator."""


class AggregatorSpec(Spec):
    """The aggregator: each row's embedding rebuilt from the batch's others by similarity."""

    enabled: bool = True
    """If not, each row reconstructs itself."""
    top_k: int | None = Field(None, ge=1)
    """Only the k most similar rows take part; all of them (as published) when absent."""


class ReconstructionSpec(Spec):
    """The reconstruction loss."""

    enabled: bool = True
    """Whether the loss takes part at all."""


class LossSpec(Spec):
    """How the two losses are added."""

    weighting: Literal["adaptive", "fixed"] = "adaptive"
    """`adaptive`: weights learned by uncertainty; `fixed`: the two numbers below."""
    contrast_weight: float = Field(1.0, ge=0)
    """Weight of the contrastive loss under `fixed`."""
    reconstruction_weight: float = Field(1.0, ge=0)
    """Weight of the reconstruction loss under `fixed`."""


class OptimizerSpec(Spec):
    """Adam with L2 regularisation in its gradient."""

    learning_rate: float = Field(5e-4, gt=0, le=1)
    """Step size at the start."""
    beta1: float = Field(0.9, ge=0, lt=1)
    """Decay of the mean of gradients."""
    beta2: float = Field(0.99, ge=0, lt=1)
    """Decay of the mean of squared gradients."""
    weight_decay: float = Field(3e-4, ge=0)
    """L2 coefficient, added to the gradient."""
    schedule: Literal["cosine", "constant"] = "cosine"
    """`cosine`: half a cosine from the step size to 0 over the epochs, changed once an epoch."""


class PretrainSpec(Spec):
    """Pre-training on the source corpus, without labels."""

    enabled: bool = True
    """If not, fine-tuning starts from the initial encoder."""
    epochs: int = Field(200, ge=1)
    """Passes over the source windows."""
    batch_size: int = Field(256, ge=2)
    """Windows B a step, before their masked copies; an incomplete last batch is dropped."""
    optimizer: OptimizerSpec = OptimizerSpec()
    """Step rule."""


class FinetuneSpec(Spec):
    """Fine-tuning of encoder and classifier, once for each fold."""

    epochs: int = Field(50, ge=1)
    """Passes over the fold's fine-tune part."""
    batch_size: int = Field(128, ge=2)
    """Windows a step; the last batch may be smaller."""
    freeze_encoder: bool = False
    """Whether only the classifier learns; batch norm then keeps its pre-training statistics."""
    optimizer: OptimizerSpec = OptimizerSpec()
    """Step rule, one state for encoder and one for classifier at the same settings."""


class ExperimentSpec(Spec):
    """Everything that decides one cell's numbers, but its data and its seed."""

    network: NetworkSpec = NetworkSpec()
    """Sizes of the network."""
    masking: MaskingSpec = MaskingSpec()
    """Which input values a view hides."""
    contrast: ContrastSpec = ContrastSpec()
    """The soft contrastive loss."""
    aggregator: AggregatorSpec = AggregatorSpec()
    """The aggregator."""
    reconstruction: ReconstructionSpec = ReconstructionSpec()
    """The reconstruction loss."""
    loss: LossSpec = LossSpec()
    """How the two losses are added."""
    pretrain: PretrainSpec = PretrainSpec()
    """Pre-training."""
    finetune: FinetuneSpec = FinetuneSpec()
    """Fine-tuning."""
    scaling: ScalingKind = "min_max"
    """How each feature is scaled, by numbers fitted only on what the protocol lets be seen."""
    precision: Precision = "float32"
    """Of matrix multiplications in training. `float32`: as published; `bf16`: operands of 8 binary digits, summed in
    float32, several times as fast on a processor with AMX. All else stays in float32, predictions too."""
    protocol: ProtocolSpec = HonestProtocol()
    """Who may see what, and which epoch is judged."""
