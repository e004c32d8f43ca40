"""SCMM's settings; the defaults are the published ones of SEED-IV to SEED (arXiv 2408.09186 and its code).

Some are quirks of the released code: absent, they are what the protocol makes of them, on under `released` and off
under the others; set, they can be ablated one by one under any protocol.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from scmmlab.config.base import Spec
from scmmlab.config.experiment import ExperimentSpec, OptimizerSpec, Precision, TrainedStage
from scmmlab.config.protocol import ReleasedProtocol

MaskMode = Literal["none", "random", "channel", "parallel", "hybrid", "band"]
Distance = Literal["cosine", "euclidean", "manhattan"]
Normaliser = Literal["pairs", "rows", "weight_mass"]
Positives = Literal["views", "neighbours", "trial_time"]

RELEASED_BATCHES = 10
"""Batches of source windows that the released code pre-trains on."""


class NetworkSpec(Spec):
    """Sizes of the network."""

    width: int = Field(128, ge=8, le=1024, multiple_of=4)
    """Channels D of the encoder's last block; the blocks have D/4, D/2 and D, and the embedding z has D."""
    classifier_width: int = Field(128, ge=1, le=4096)
    """Units of the classifier's hidden layer."""


class MaskingSpec(Spec):
    """Which input values a view hides."""

    mode: MaskMode = "hybrid"
    """`random`: each value; `channel`: whole channels; `band`: whole bands; `parallel`: each sample draws one of
    `random` and `channel`; `hybrid`: each channel of each sample draws; `none`: nothing is hidden."""
    ratio: float = Field(0.5, ge=0, lt=1)
    """Probability that a value (or channel, or band) is hidden."""
    threshold: float = Field(0.1, ge=0, le=1)
    """`parallel` and `hybrid`: a uniform draw above it means `random`, else `channel`."""
    views: int = Field(1, ge=1, le=8)
    """Masked copies V of each window."""
    originals: bool = True
    """Whether the windows themselves are rows of the batch beside their copies."""
    overwrite_originals: bool | None = None
    """Quirk: with one view, masking overwrites the originals, so that both halves of a pre-training batch are the
    same."""


class AugmentationSpec(Spec):
    """What changes the copies of a window before they are masked; without it they are plain copies."""

    noise: float = Field(0.0, ge=0, le=10)
    """Standard deviation of Gaussian noise on each value, in units of the scaled features."""
    gain: float = Field(0.0, ge=0, le=1)
    """Standard deviation of the factor, of mean 1, by which each copy is multiplied."""
    mixup: float | None = Field(None, gt=0, le=1)
    """α of mixup: a copy is λ times its window plus 1 − λ times another one of the batch, λ ~ Beta(α, α), one a batch.
    Copies attract the two windows that they were mixed of, by λ and 1 − λ, and are compared with windows alone."""


class ContrastSpec(Spec):
    """The soft contrastive loss."""

    enabled: bool = True
    """Whether the loss takes part at all. The aggregator uses `temperature` even where it does not."""
    weights: Literal["soft", "hard"] = "soft"
    """`soft`: pairs weigh by their distance; `hard`: 1 for views of one window, 0 for the rest."""
    positives: Positives | None = None
    """Which rows attract one another beside views of one window. `neighbours`: all, by their distance in the input;
    `trial_time`: windows of the same trial, by their distance in time; `views`: none, as `weights: hard`. Absent:
    `neighbours` under soft weights."""
    distance: Distance = "cosine"
    """Distance of two input rows, between neighbours."""
    half_life: float = Field(10.0, gt=0, le=1e6)
    """Seconds between two windows of a trial after which their weight is half of `upper_bound`."""
    upper_bound: float = Field(0.5, gt=0, le=1)
    """Largest weight α of a pair that are not views of one window."""
    soft_weight_temperature: float = Field(0.05, gt=0, le=100)
    """τ_s, how sharply weights fall with distance (the released code calls it sharpness)."""
    temperature: float = Field(0.5, gt=0, le=100)
    """τ of the similarities in the contrastive softmax and in the aggregator."""
    similarity: Literal["dot", "cosine"] = "dot"
    """Of two projections z, in the contrastive softmax and in the aggregator."""
    normaliser: Normaliser = "pairs"
    """What the sum over N rows is divided by. `pairs`: N (N − 1), as published; `rows`: N, as in NT-Xent;
    `weight_mass`: the sum of all weights, so that soft and hard weights differ in shape alone."""


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
    target: Literal["self", "original"] = "self"
    """What a row is asked for. `self`: itself, what is hidden as 0, as published; `original`: the window that it is a
    copy of."""
    on: Literal["all", "masked"] = "all"
    """Values that count: all, or those that were hidden."""


class LossSpec(Spec):
    """How the two losses are added."""

    weighting: Literal["adaptive", "fixed"] = "adaptive"
    """`adaptive`: weights learned by uncertainty; `fixed`: the two numbers below."""
    contrast_weight: float = Field(1.0, ge=0)
    """Weight of the contrastive loss under `fixed`."""
    reconstruction_weight: float = Field(1.0, ge=0)
    """Weight of the reconstruction loss under `fixed`."""


class PretrainSpec(Spec):
    """Pre-training on the source corpus, without labels."""

    enabled: bool = True
    """If not, fine-tuning starts from the initial encoder."""
    epochs: int = Field(200, ge=1)
    """Passes over the source windows."""
    batch_size: int = Field(256, ge=2)
    """Windows B a step, before their masked copies; an incomplete last batch is dropped."""
    batches: Annotated[int, Field(ge=1)] | Literal["all"] | None = None
    """Quirk: only the first so many batches of source windows take part (under `released` 10)."""
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
    zero_grad: bool | None = None
    """Whether gradients are zeroed between steps. Quirk: if not, they add up over the whole fine-tuning."""
    reload_best_training: bool | None = None
    """Quirk: each epoch starts from the weights of the best training accuracy so far."""
    constant_learning_rate: bool | None = None
    """Quirk: the step size stays what it was, whatever the schedule."""
    optimizer: OptimizerSpec = OptimizerSpec()
    """Step rule, one state for encoder and one for classifier at the same settings."""


class ScmmSpec(ExperimentSpec):
    """An experiment with SCMM."""

    FORMER_PATHS: ClassVar[Mapping[str, str]] = {
        "protocol.overwrite_originals": "masking.overwrite_originals",
        "protocol.pretrain_batches": "pretrain.batches",
        "protocol.zero_grad": "finetune.zero_grad",
        "protocol.reload_best_training": "finetune.reload_best_training",
        "protocol.constant_learning_rate": "finetune.constant_learning_rate",
    }

    method: Literal["scmm"] = "scmm"
    """What is trained."""
    network: NetworkSpec = NetworkSpec()
    """Sizes of the network."""
    masking: MaskingSpec = MaskingSpec()
    """Which input values a view hides."""
    augmentation: AugmentationSpec = AugmentationSpec()
    """What else changes a view."""
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
    precision: Precision = "float32"
    """Of matrix multiplications in training. `float32`: as published; `bf16`: operands of 8 binary digits, summed in
    float32, several times as fast on a processor with AMX. All else stays in float32, predictions too."""

    @classmethod
    def present_value(cls, old: str, value: Any) -> Any:
        """`pretrain_batches: null` meant all of them."""
        return "all" if old == "protocol.pretrain_batches" and value is None else value

    @property
    def pretrains(self) -> bool:
        """Whether there is a pre-train stage, without labels."""
        return self.pretrain.enabled

    def epochs(self, stage: TrainedStage) -> int:
        """Epochs of a stage."""
        return self.pretrain.epochs if stage == "pretrain" else self.finetune.epochs

    @property
    def test_batch_size(self) -> int:
        """Windows of a batch."""
        return self.finetune.batch_size

    @property
    def overwrites_originals(self) -> bool:
        """Whether masking also hides the windows themselves, where there is one view."""
        return self._quirk(self.masking.overwrite_originals)

    @property
    def positives(self) -> Positives:
        """Which rows attract one another beside views of one window."""
        return self.contrast.positives or ("neighbours" if self.contrast.weights == "soft" else "views")

    @property
    def pretrain_batches(self) -> int | None:
        """Batches of source windows, from the first, that are pre-trained on; None for all."""
        batches = self.pretrain.batches
        if batches is None:
            return RELEASED_BATCHES if self._released else None
        return None if batches == "all" else batches

    @property
    def zeroes_gradients(self) -> bool:
        """Whether gradients are zeroed between fine-tuning steps."""
        return not self._released if self.finetune.zero_grad is None else self.finetune.zero_grad

    @property
    def reloads_best_training(self) -> bool:
        """Whether each epoch of fine-tuning starts from the weights of the best training accuracy so far."""
        return self._quirk(self.finetune.reload_best_training)

    @property
    def constant_learning_rate(self) -> bool:
        """Whether fine-tuning leaves its schedule aside."""
        return self._quirk(self.finetune.constant_learning_rate)

    @property
    def _released(self) -> bool:
        return isinstance(self.protocol, ReleasedProtocol)

    def _quirk(self, said: bool | None) -> bool:
        return self._released if said is None else said

    @property
    def pretrain_batch(self) -> int:
        """Windows of a pre-training step, of which there must be one at least."""
        return self.pretrain.batch_size

    def pretrain_windows(self, there: int) -> int:
        """How many of the source's windows, from the first, are pre-trained on."""
        batches = self.pretrain_batches
        return there if batches is None else min(there, batches * self.pretrain.batch_size)

    def contradictions(self) -> list[tuple[str, str]]:
        """Pre-training without a loss, or with one that its rows leave nothing to learn from."""
        if not self.pretrain.enabled:
            return []
        adaptive = self.loss.weighting == "adaptive"
        contrast = self.contrast.enabled and (adaptive or self.loss.contrast_weight > 0)
        reconstruction = self.reconstruction.enabled and (adaptive or self.loss.reconstruction_weight > 0)
        found = []
        if not contrast and not reconstruction:
            message = "neither the contrastive nor the reconstruction loss takes part, so it must be false, got true"
            found.append(("pretrain.enabled", message))
        if self.contrast.enabled:
            found += self._contradictions_of_positives()
        if self.reconstruction.enabled:
            found += self._contradictions_of_targets()
        return found

    def _contradictions_of_positives(self) -> list[tuple[str, str]]:
        found = []
        positives, weights = self.contrast.positives, self.contrast.weights
        if weights == "hard" and positives not in (None, "views"):
            message = (
                f"hard weights are 0 but for views of one window, so it must be 'views' or absent, got {positives!r}"
            )
            found.append(("contrast.positives", message))
        mixes = self.augmentation.mixup is not None
        if mixes and self.positives != "views":
            message = "mixed copies attract what they were mixed of, so it must be 'views', got " + repr(self.positives)
            found.append(("contrast.positives", message))
        if mixes and not (self.masking.originals and self.masking.views == 1):
            message = "mixed copies are compared with their windows: masking.originals must be true and masking.views 1"
            found.append(("augmentation.mixup", message))
        if self.positives == "views" and not self.masking.originals and self.masking.views == 1:
            message = "rows are one copy of each window, which has no other view: it must be true, or masking.views 2"
            found.append(("masking.originals", message))
        return found

    def _contradictions_of_targets(self) -> list[tuple[str, str]]:
        found = []
        if self.reconstruction.on == "masked":
            if self.masking.mode == "none":
                found.append(("reconstruction.on", "nothing is hidden under masking.mode 'none', so it must be 'all'"))
            if self.reconstruction.target == "self":
                message = "a row's own hidden values are 0, so it must be 'original' where masked values count"
                found.append(("reconstruction.target", message))
        if self.reconstruction.target == "original" and self.augmentation.mixup is not None:
            found.append(("reconstruction.target", "a mixed copy has two originals, so it must be 'self'"))
        return found

    def unshared(self) -> str | None:
        """Why several workers cannot share its batches; None where they can."""
        if self.contrast.enabled and self.positives == "trial_time":
            return "'contrast.positives: trial_time' needs to know which windows are of one trial"
        return None

    def resolved(self) -> ScmmSpec:
        """The same experiment, with its quirks written out."""
        resolved = self._with_quirks(
            overwrite_originals=self.overwrites_originals,
            batches="all" if self.pretrain_batches is None else self.pretrain_batches,
            zero_grad=self.zeroes_gradients,
            reload_best_training=self.reloads_best_training,
            constant_learning_rate=self.constant_learning_rate,
        )
        # said by the weights, where it can be
        positives = "trial_time" if self.positives == "trial_time" else None
        weights = "hard" if self.positives == "views" else "soft"
        contrast = self.contrast.model_copy(update={"positives": positives, "weights": weights})
        return resolved.model_copy(update={"contrast": contrast})

    def without_quirks(self) -> ScmmSpec:
        """The same experiment, with its quirks off."""
        return self._with_quirks(
            overwrite_originals=False,
            batches="all",
            zero_grad=True,
            reload_best_training=False,
            constant_learning_rate=False,
        )

    def _with_quirks(self, overwrite_originals: bool, batches: int | str, **of_finetuning: bool) -> ScmmSpec:
        changes = {
            "masking": self.masking.model_copy(update={"overwrite_originals": overwrite_originals}),
            "pretrain": self.pretrain.model_copy(update={"batches": batches}),
            "finetune": self.finetune.model_copy(update=of_finetuning),
        }
        return self.model_copy(update=changes)

    def quirks_in_words(self) -> list[str]:
        """The quirks that are on."""
        batches = self.pretrain_batches
        quirks = [
            (self.overwrites_originals, "with one view, masking overwrites the originals"),
            (batches is not None, f"pre-training sees the first {batches} batches of windows only"),
            (not self.zeroes_gradients, "gradients are never zeroed in fine-tuning"),
            (self.reloads_best_training, "each epoch starts from the weights of the best training accuracy"),
            (self.constant_learning_rate, "the fine-tuning step size stays what it was"),
        ]
        return [words for on, words in quirks if on]
