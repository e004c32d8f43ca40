"""Who may see what: the protocols with their label regimes, and each leak of the released code as a setting of its own.

What the released code does beside, in how it trains, are settings of the method.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from scmmlab.config.base import Spec

TrialOrder = Literal["time", "time_within_class"]
EpochSelection = Literal["last", "best_validation"]
ReleasedEpochSelection = Literal["best_test", "last"]
Regime = Literal["target_few", "target_pool", "source_only", "uda_inductive", "uda_transductive"]
"""What a model may learn from: labels of the tested subject, of other target subjects, or of the source alone; the last
two also see windows of the tested subject without their labels (unsupervised domain adaptation). Figures are comparable
within a regime only."""


class _FoldedProtocol(Spec):
    trained_on: ClassVar[Literal["source", "target"]] = "target"
    """Whose labels are trained on."""

    subjects_per_fold: int = Field(1, ge=1)
    """Target subjects that share a fold."""

    @property
    def validates(self) -> bool:
        """Whether a part of what may be trained on is kept to validate."""
        return True

    @property
    def tests_all_trials(self) -> bool:
        """Whether all trials of a tested subject are tested, so that none of them is split off."""
        return True


class _TrialSplitProtocol(_FoldedProtocol):
    trial_order: TrialOrder = "time"
    """`time`: the first trials of a session are the fine-tune part, the rest the test part; `time_within_class`: the
    same within each class, for corpora whose classes are recorded one after the other."""
    finetune_trials: int | None = Field(None, ge=1)
    """Trials of the fine-tune part in each session (under `time_within_class`: of each class); instead of the share."""
    finetune_share: float = Field(0.6, gt=0, lt=1)
    """Share of the trials that is the fine-tune part (9 of SEED's 15)."""

    @property
    def tests_all_trials(self) -> bool:
        """Some are fine-tuned on."""
        return False


class _SourceTrainedProtocol(_FoldedProtocol):
    trained_on: ClassVar[Literal["source", "target"]] = "source"

    validation_share: float = Field(0.25, gt=0, lt=1)
    """Share of the source's subjects, at least one, that validate."""
    epoch_selection: EpochSelection = "last"
    """Which epoch is judged."""


class HonestProtocol(_TrialSplitProtocol):
    """The target subject's trials in time order: fine-tune part, then test part. Nothing that chooses sees the test."""

    kind: Literal["honest"] = "honest"
    """Name of the protocol."""
    validation_share: float = Field(0.25, gt=0, lt=1)
    """Share of the fine-tune part's trials, the last ones of each class, at least one, that validate."""
    epoch_selection: EpochSelection = "last"
    """Which epoch is judged."""

    @property
    def regime(self) -> Regime:
        """The tested subject's first trials are labelled."""
        return "target_few"


class LosoProtocol(_FoldedProtocol):
    """Leave subjects out on the target: fine-tune on the other target subjects, test on the fold's."""

    kind: Literal["loso"] = "loso"
    """Name of the protocol."""
    validation_share: float = Field(0.25, gt=0, lt=1)
    """Share of the fine-tune part's subjects, at least one, that validate."""
    epoch_selection: EpochSelection = "last"
    """Which epoch is judged."""

    @property
    def regime(self) -> Regime:
        """Other target subjects are labelled."""
        return "target_pool"


class ZeroShotProtocol(_SourceTrainedProtocol):
    """The classifier learns on the source's labels; no label of the target is used before the test."""

    kind: Literal["zero_shot"] = "zero_shot"
    """Name of the protocol."""

    @property
    def regime(self) -> Regime:
        """Nothing of the target is seen."""
        return "source_only"


class UdaInductiveProtocol(_SourceTrainedProtocol, _TrialSplitProtocol):
    """The classifier learns on the source's labels, and may see windows of the target's fine-tune part without theirs.

    The test part is that of `honest`.
    """

    kind: Literal["uda_inductive"] = "uda_inductive"
    """Name of the protocol."""

    @property
    def regime(self) -> Regime:
        """Unlabelled windows from before the test."""
        return "uda_inductive"


class UdaTransductiveProtocol(_SourceTrainedProtocol, _TrialSplitProtocol):
    """The classifier learns on the source's labels, and may see the windows that it is tested on unlabelled.

    No label leaks, but a new recording cannot be predicted in this way.
    """

    kind: Literal["uda_transductive"] = "uda_transductive"
    """Name of the protocol."""
    tested: Literal["later_trials", "all_trials"] = "later_trials"
    """`later_trials`: the test part of `honest`; `all_trials`: that of `zero_shot`, all of the target, also where a
    subject has one trial of a class."""

    @property
    def tests_all_trials(self) -> bool:
        """None is needed before the test."""
        return self.tested == "all_trials"

    @property
    def regime(self) -> Regime:
        """The unlabelled windows are those of the test."""
        return "uda_transductive"


class ReleasedProtocol(_TrialSplitProtocol):
    """What the released code does, leaks and all, so that its figures can be reproduced and the gap measured."""

    kind: Literal["released"] = "released"
    """Name of the protocol."""
    split: Literal["within_subject", "leave_subjects_out"] = "within_subject"
    """Which split carries the quirks: `within_subject` is that of `honest`, `leave_subjects_out` that of `loso`."""
    scale_each_part: bool = True
    """The test part is scaled by its own numbers."""
    accuracy: Literal["mean_of_batches", "all_windows"] = "mean_of_batches"
    """The reported accuracy: mean of the test batches' accuracies, or share of all windows."""
    epoch_selection: ReleasedEpochSelection = "best_test"
    """The epoch reported; `best_test` chooses it by the test labels."""

    @property
    def validates(self) -> bool:
        """Nothing validates."""
        return False

    @property
    def tests_all_trials(self) -> bool:
        """As the split that carries the quirks."""
        return self.split == "leave_subjects_out"

    @property
    def regime(self) -> Regime:
        """That of the split that carries the quirks."""
        return "target_few" if self.split == "within_subject" else "target_pool"


ProtocolSpec = Annotated[
    HonestProtocol
    | LosoProtocol
    | ZeroShotProtocol
    | UdaInductiveProtocol
    | UdaTransductiveProtocol
    | ReleasedProtocol,
    Field(discriminator="kind"),
]
