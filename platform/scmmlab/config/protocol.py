"""Who may see what: the protocols, and each quirk of the released code as a setting of its own."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from scmmlab.config.base import Spec

TrialOrder = Literal["time", "time_within_class"]
EpochSelection = Literal["last", "best_validation"]


class _FoldedProtocol(Spec):
    subjects_per_fold: int = Field(1, ge=1)
    """Target subjects that share a fold."""


class _TrialSplitProtocol(_FoldedProtocol):
    trial_order: TrialOrder = "time"
    """`time`: the first trials of a session are the fine-tune part, the rest the test part; `time_within_class`: the
    same within each class, for corpora whose classes are recorded one after the other."""
    finetune_trials: int | None = Field(None, ge=1)
    """Trials of the fine-tune part in each session (under `time_within_class`: of each class); instead of the share."""
    finetune_share: float = Field(0.6, gt=0, lt=1)
    """Share of the trials that is the fine-tune part (9 of SEED's 15)."""


class HonestProtocol(_TrialSplitProtocol):
    """The target subject's trials in time order: fine-tune part, then test part. Nothing that chooses sees the test."""

    kind: Literal["honest"] = "honest"
    """Name of the protocol."""
    validation_share: float = Field(0.25, gt=0, lt=1)
    """Share of the fine-tune part's trials, the last ones of each class, at least one, that validate."""
    epoch_selection: EpochSelection = "last"
    """Which epoch is judged."""


class LosoProtocol(_FoldedProtocol):
    """Leave subjects out on the target: fine-tune on the other target subjects, test on the fold's."""

    kind: Literal["loso"] = "loso"
    """Name of the protocol."""
    validation_share: float = Field(0.25, gt=0, lt=1)
    """Share of the fine-tune part's subjects, at least one, that validate."""
    epoch_selection: EpochSelection = "last"
    """Which epoch is judged."""


class ZeroShotProtocol(_FoldedProtocol):
    """The classifier learns on the source's labels; no label of the target is used before the test."""

    kind: Literal["zero_shot"] = "zero_shot"
    """Name of the protocol."""
    validation_share: float = Field(0.25, gt=0, lt=1)
    """Share of the source's subjects, at least one, that validate."""
    epoch_selection: EpochSelection = "last"
    """Which epoch is judged."""


class ReleasedProtocol(_TrialSplitProtocol):
    """What the released code does, leaks and all, so that its figures can be reproduced and the gap measured."""

    kind: Literal["released"] = "released"
    """Name of the protocol."""
    split: Literal["within_subject", "leave_subjects_out"] = "within_subject"
    """Which split carries the quirks: `within_subject` is that of `honest`, `leave_subjects_out` that of `loso`."""
    overwrite_originals: bool = True
    """With one view, masking overwrites the originals, so that both halves of a pre-training batch are the same."""
    pretrain_batches: int | None = Field(10, ge=1)
    """Pre-training sees only the first so many batches of source windows; all of them when null."""
    scale_each_part: bool = True
    """The test part is scaled by its own numbers."""
    zero_grad: bool = False
    """Whether gradients are zeroed between fine-tuning steps; if not they add up over the whole fine-tuning."""
    reload_best_training: bool = True
    """Each epoch starts from the weights of the best training accuracy so far."""
    constant_learning_rate: bool = True
    """The fine-tuning step size stays what it was."""
    accuracy: Literal["mean_of_batches", "all_windows"] = "mean_of_batches"
    """The reported accuracy: mean of the test batches' accuracies, or share of all windows."""
    epoch_selection: Literal["best_test", "last"] = "best_test"
    """The epoch reported; `best_test` chooses it by the test labels."""


ProtocolSpec = Annotated[
    HonestProtocol | LosoProtocol | ZeroShotProtocol | ReleasedProtocol, Field(discriminator="kind")
]
