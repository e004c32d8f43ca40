"""What the stages are asked for, and what they hand back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from scmmlab.config import CorpusSelection, ExperimentSpec, TransferSpec
from scmmlab.errors import FailureCause

StageKind = Literal["pretrain", "finetune", "evaluate", "sweep", "auxiliary"]


@dataclass(frozen=True)
class PretrainRequest:
    """Pre-train one encoder."""

    key: str
    """Identity of the stage, in reports and checkpoints."""
    experiment: ExperimentSpec
    """Of which `pretraining_view` is trained."""
    seed: int
    """Seed of the cell. Initial weights, batches and masks depend on it alone, so that variants are paired."""
    source: CorpusSelection
    """What is trained on; its labels are not read."""
    channels: tuple[str, ...]
    """Channels that the model sees, in order."""


def data_of(transfer: TransferSpec) -> dict[str, Any]:
    """What a record says of a transfer: its data. What it changes is in the record's experiment."""
    return transfer.model_dump(mode="json", exclude={"set", "mixed_features"})


@dataclass(frozen=True)
class CellRequest:
    """Fine-tune the folds of one cell, and later evaluate them."""

    key: str
    """Identity of the cell, in reports and checkpoints."""
    experiment: ExperimentSpec
    """What is run."""
    seed: int
    """Seed of the cell."""
    transfer: TransferSpec
    """Source and target."""
    channels: tuple[str, ...]
    """Channels that the model sees, in order."""
    encoder: dict[str, np.ndarray] | None
    """The tensors of the pre-train stage's output, all of them; None where there is no pre-training."""


@dataclass(frozen=True)
class SweepRequest:
    """Pre-train one setting of a sweep, and probe it on validation parts as it goes."""

    key: str
    """Identity of the tune_trial, in reports and checkpoints."""
    experiment: ExperimentSpec
    """The setting."""
    seed: int
    """Seed of the sweep."""
    transfer: TransferSpec
    """Source (pre-training) and target (probe)."""
    channels: tuple[str, ...]
    """Channels that the model sees, in order."""
    report_every: int
    """Epochs between two probes; the last epoch is always probed."""


@dataclass(frozen=True)
class StageOutput:
    """What a stage made: a record for people and tables, tensors for the next stage."""

    key: str
    """Key of the request."""
    kind: StageKind
    """The stage."""
    record: dict[str, Any]
    """JSON-able; holds no time and no host name, so that two runs of one request compare equal."""
    tensors: dict[str, np.ndarray]
    """Arrays by name; docs/training.md lists the names of each kind."""
    halved_to: int | None = None
    """Replicas that its pack was halved to, where memory ran out. Not part of what is kept."""


@dataclass(frozen=True)
class StageFailure:
    """Why a request came to nothing; the other requests of its pack went on."""

    key: str
    """Key of the request."""
    kind: StageKind
    """The stage."""
    error: str
    """One line."""
    traceback: str
    """The trace, for the log; empty where the error explains itself."""
    cause: FailureCause = "error"
    """What it was."""
    log: str | None = None
    """Where the log of the process is that it happened in; None where that is this one."""
