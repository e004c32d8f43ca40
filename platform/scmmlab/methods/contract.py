"""What a method is to everybody else: its settings, what it may be given, how it trains, and who may share a pack.

A method says which settings it has (a spec, without importing what it computes with) and brings a `Trainer`. Splits,
sealed labels, stages, checkpoints, resume, the store, MLflow and the report are everybody's. Four ways to write one,
from easy to fast: `one_shot.OneShotPack`, `sequential.SequentialPack`, `packed.NetworkPack`, and layers of `replica`.

| symbol | meaning |
|---|---|
| R, r | replicas of a pack, one of them |
| C, F | channels, bands |
| N, K | windows, classes |
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from scmmlab.config.experiment import ExperimentSpec, TrainedStage

if TYPE_CHECKING:  # a method is listed, planned and checked without what it computes with
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from scmmlab.evaluation import Fold
    from scmmlab.features import Scaler
    from scmmlab.methods.golden import GoldenVerifier
    from scmmlab.replica.collectives import Collectives
    from scmmlab.replica.windows import WindowPool, Windows

    Features = NDArray[np.float32]


RunsOn = Literal["any", "cpu"]
"""Where a method computes: on the device of whoever runs it, or on the processor alone."""


@dataclass(frozen=True)
class Metric:
    """A figure of an epoch, as curves and the report show it."""

    name: str
    """In records and in MLflow."""
    label: str
    """For people."""
    better: Literal["lower", "higher"] = "lower"
    """Which way is progress."""


ACCURACIES = (
    Metric("train_accuracy", "training accuracy", "higher"),
    Metric("validation_accuracy", "validation accuracy", "higher"),
    Metric("validation_balanced_accuracy", "validation balanced accuracy", "higher"),
)
"""Figures of a fine-tuning epoch that every classifier has."""


@dataclass(frozen=True)
class Rule:
    """A setting, or a group of them, that does not matter under a condition.

    Parameters
    ----------
    path : str
        Dotted path in the experiment.
    when : callable
        Whether it does not matter in an experiment that has it.
    why : str
        The reason.
    """

    path: str
    when: Callable[[Any], bool]
    why: str


def always(experiment: Any) -> bool:
    """The condition of a rule that has none."""
    return True


@dataclass(frozen=True)
class KeyRules:
    """Settings of a method that do not matter to a stage; whatever is not named does."""

    pretrain: tuple[Rule, ...] = ()
    """To pre-training, which is handed these at their defaults."""
    finetune: tuple[Rule, ...] = ()
    """To fine-tuning and figures, given what pre-training left."""
    probe: tuple[Rule, ...] = ()
    """To a sweep's probe of it."""


@dataclass(frozen=True)
class InputShape:
    """Sizes of what a stage is given."""

    channels: int
    """C."""
    bands: int
    """F."""
    classes: int = 0
    """K; 0 in pre-training, which knows no classes."""
    names: tuple[str, ...] = ()
    """Names of the channels; empty where they are nothing to the stage."""


@dataclass(frozen=True)
class Method:
    """What is trained, as far as anybody needs to know who does not train it."""

    name: str
    """As a study names it."""
    version: str
    """Part of its keys: raised by a change that changes results."""
    title: str
    """A line for people."""
    spec: type[ExperimentSpec]
    """Its settings, beside those that all methods share."""
    load: Callable[[], Trainer]
    """Imports what it computes with."""
    axis: Literal["bands", "samples"] = "bands"
    """What kind of table it eats: channels × bands, or channels × samples of the signal."""
    sees: frozenset[Literal["source_labels", "unlabelled_target"]] = frozenset()
    """What it may be given beyond the fine-tune part; granted by the protocol alone."""
    runs_on: RunsOn = "any"
    """`cpu`: it uses the processor alone, so its tasks are given to workers without a GPU, and never hold one up."""
    budget: str | None = None
    """Dotted path of what a sweep's rungs count; None where settings are judged once, at their end."""
    metrics: Mapping[str, tuple[Metric, ...]] = field(default_factory=dict)
    """Stage → the figures of its epochs."""
    rules: KeyRules = KeyRules()
    """What of its settings does not matter."""
    golden: Callable[[], GoldenVerifier] | None = None
    """Imports what compares it with golden vectors; None where there are none."""

    def names(self, stage: TrainedStage) -> tuple[str, ...]:
        """Names of the figures of a stage's epochs."""
        return tuple(metric.name for metric in self.metrics.get(stage, ()))


@dataclass(frozen=True)
class PretrainData:
    """What one pre-training is given: windows of the source, without labels."""

    features: Features
    """Windows [n, C, F], not scaled."""
    windows: int
    """How many of them, from the first, are trained on."""
    scaler: Scaler
    """Fitted on those."""
    fingerprint: str
    """Of the source's table."""


@dataclass(frozen=True)
class FoldData:
    """What one fold is given. Test windows come without labels, which are nowhere in it."""

    fold: Fold
    """Which rows are which."""
    seen_features: Features
    """Windows [n, C, F] of the table that is trained on, not scaled; the fold's rows index it."""
    finetune_label: NDArray[np.int64]
    """Labels of the fine-tune part."""
    validation_label: NDArray[np.int64]
    """Labels of the validation part; empty where the protocol has none."""
    test_features: Features
    """Windows of the target, not scaled; the fold's test rows index it, and its unlabelled rows, which the protocol
    grants to a method that `sees` windows of the target without their labels."""
    scaler: Scaler
    """For the fine-tune and the validation part: fitted on the fine-tune part."""
    test_scaler: Scaler
    """For the test part: the same, unless the protocol scales each part by itself."""
    seen_trial: NDArray[np.int64]
    """Which trial each window of `seen_features` is of, counted from 0; windows of a trial are next to each other."""
    test_trial: NDArray[np.int64]
    """The same of `test_features`."""


@dataclass(frozen=True)
class Checkpoint:
    """The state of one replica at the end of an epoch."""

    epoch: int
    """Epochs done."""
    tensors: dict[str, Tensor]
    """Parameters, buffers, optimiser moments, and what else the training carries from epoch to epoch."""
    state: dict[str, Any]
    """JSON-able: curves, best figures so far, choices."""


@dataclass
class PretrainRun:
    """One pre-training on its way."""

    key: str
    """Key of the request."""
    experiment: Any
    """Its settings, of the method's spec."""
    seed: int
    """Seed of the cell."""
    data: PretrainData
    """What it is trained on."""
    epoch: int = 0
    """Epochs done."""
    curve: list[dict[str, float]] = field(default_factory=list)
    """Figures of each epoch done."""
    probes: list[dict[str, float]] = field(default_factory=list)
    """In a sweep: the probe's figure at each epoch that was probed."""

    @property
    def epochs(self) -> int:
        """Epochs that there are to be."""
        return int(self.experiment.epochs("pretrain"))


@dataclass
class FoldRun:
    """One fold of one cell on its way through fine-tuning."""

    key: str
    """Key of the cell."""
    number: int
    """Number of the fold in the cell."""
    experiment: Any
    """The cell's settings, of the method's spec."""
    seed: int
    """Seed of the cell."""
    data: FoldData
    """Windows and labels."""
    classes: int
    """K."""
    start: Mapping[str, Tensor]
    """Tensors that pre-training left, or what it would have started from; may hold more than fine-tuning needs."""
    channels: tuple[str, ...] = ()
    """Names of the channels, in the order of the features."""
    epoch: int = 0
    """Epochs done."""
    curve: list[dict[str, float | None]] = field(default_factory=list)
    """Figures of each epoch done."""
    best: float = -math.inf
    """Best figure so far of what an epoch is chosen by."""
    best_epoch: int = 0
    """Epoch of `best`."""

    @property
    def epochs(self) -> int:
        """Epochs that there are to be."""
        return int(self.experiment.epochs("finetune"))

    @property
    def stage(self) -> str:
        """Name of its checkpoints."""
        return f"finetune-{self.number}"


@dataclass(frozen=True)
class FoldResult:
    """A fold that was fine-tuned to the end. Its test windows are predicted, and nobody knows how well."""

    run: FoldRun
    """With its curve."""
    epoch: int | None
    """The epoch that counts, from 1; None where the evaluate stage is to choose, of predictions of every epoch."""
    test_logits: NDArray[np.float32]
    """[N, K], of which the softmax are probabilities; with `epoch` None of every epoch, [epochs, N, K]."""
    validation_logits: NDArray[np.float32] | None
    """[N, K] of the epoch that counts; None without a validation part."""
    model_digest: str
    """SHA-256 of the model, to tell whether two are the same."""


class Pack(ABC):
    """Pre-trainings that share a worker, an epoch at a time, each at an epoch of its own, each as if it were alone."""

    runs: list[PretrainRun]

    @abstractmethod
    def train_epoch(self) -> list[Exception | None]:
        """Train each replica through its next epoch and put the figures on its curve; the errors of those that fail."""

    @abstractmethod
    def replica_state(self, r: int) -> dict[str, Tensor]:
        """What pre-training leaves of one replica."""

    @abstractmethod
    def checkpoint(self, r: int) -> Checkpoint:
        """The state of one replica."""

    @abstractmethod
    def restore(self, r: int, checkpoint: Checkpoint) -> None:
        """Let one replica go on from `checkpoint`."""

    def swap_replicas(self, staying: Sequence[int], arriving: Sequence[PretrainRun]) -> bool:
        """Let runs leave and others take their places; False, and nothing has happened, where a new pack is to be made.

        Parameters
        ----------
        staying : sequence of int
            Numbers of the runs that stay.
        arriving : sequence of PretrainRun
            Those that follow them, none of them begun.
        """
        return False


class FoldPack(ABC):
    """Folds that share a worker, an epoch at a time, each at an epoch of its own, each as if it were alone."""

    runs: list[FoldRun]

    @abstractmethod
    def train_epoch(self) -> list[Exception | None]:
        """Train each fold through its next epoch and put the figures on its curve; the errors of those that fail."""

    @abstractmethod
    def results(self) -> list[FoldResult]:
        """Predictions of the epoch that counts. Called when all have ended; the pack ends with it."""

    @abstractmethod
    def checkpoint(self, r: int) -> Checkpoint:
        """The state of one fold."""

    @abstractmethod
    def restore(self, r: int, checkpoint: Checkpoint) -> None:
        """Let one fold go on from `checkpoint`."""

    @abstractmethod
    def only(self, rs: Sequence[int]) -> FoldPack:
        """The pack without its other folds, whose work is spared from then on."""


class Trainer(ABC):
    """How a method trains. Without a pre-train stage, `finetune_pack` and `steps` are all that it needs.

    It is given what the protocol grants and no more: of the test part, windows without labels.
    """

    @abstractmethod
    def steps(self, spec: Any, stage: TrainedStage, windows: int) -> int:
        """Steps of one epoch of a stage on so many windows, for plans and estimates."""

    def weight(self, spec: Any, stage: TrainedStage) -> float:
        """Time of a step, in steps of SCMM's same stage at its published settings, about."""
        return 1.0

    @abstractmethod
    def finetune_pack(self, runs: Sequence[FoldRun], pool: WindowPool) -> FoldPack:
        """Folds that train together; they have one `pack_signature`.

        Parameters
        ----------
        runs : sequence of FoldRun
            None of them begun.
        pool : WindowPool
            Holds their windows, on the device and in the precision of the training.
        """

    def pack_signature(self, spec: Any, stage: TrainedStage, shape: InputShape) -> Hashable:
        """Equal for those that may share a pack: what they have in common; a dataclass, or None for anybody."""
        return None

    def pretrain_pack(self, runs: Sequence[PretrainRun], pool: Windows, group: Collectives) -> Pack:
        """Pre-trainings that train together; they have one `pack_signature`.

        Parameters
        ----------
        runs : sequence of PretrainRun
            None of them begun.
        pool : Windows
            Holds their windows.
        group : Collectives
            The workers that share each batch; all of them make the same calls.
        """
        raise NotImplementedError("a method whose spec says that it pre-trains makes packs for it")

    def initial_state(self, spec: Any, shape: InputShape, seed: int) -> Mapping[str, Tensor]:
        """What pre-training would start from, and fine-tuning starts from where there is none."""
        return {}

    def embed(self, spec: Any, state: Mapping[str, Tensor], x_NCF: Tensor) -> Tensor | None:
        """Embeddings [N, E] of scaled windows by what pre-training left; None where settings of a sweep are judged by
        their validation score.
        """
        return None
