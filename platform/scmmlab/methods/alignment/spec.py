"""Settings of alignment, and which protocols grant what it needs."""

from __future__ import annotations

from typing import Literal, TypeVar

from pydantic import Field

from scmmlab.config.base import Spec
from scmmlab.config.experiment import ExperimentSpec

AlignmentKind = Literal["none", "recentre", "coral", "subspace", "tca", "ot"]
Self = TypeVar("Self", bound="AlignedSpec")
GRANTING = ("uda_inductive", "uda_transductive")
"""Protocols that grant unlabelled windows of the target."""


class AlignmentSpec(Spec):
    """How scaled windows are aligned before a method is fitted to them."""

    kind: AlignmentKind = "none"
    """`none`: not at all. `recentre`: each subject's mean becomes that of the fine-tune part. The others map the source
    onto the target, or both into one space: `coral` (means and covariances), `subspace` (principal axes), `tca`
    (transfer components of a kernel), `ot` (optimal transport)."""
    scale: bool = False
    """Of `recentre`: each subject's standard deviations become those of the fine-tune part, too."""
    rho: float = Field(0.1, ge=0, le=1)
    """Of `coral`: share ρ of the identity in a covariance, (1 − ρ) C + ρ I, in units of scaled features."""
    mean: Literal["target", "source"] = "target"
    """Of `coral`: whose mean the source's windows have afterwards; with `source` only covariances are aligned."""
    components: int = Field(20, ge=1, le=1000)
    """Of `subspace` and `tca`: dimensions of the space that source and target share."""
    mu: float = Field(1.0, gt=0, le=1e6)
    """Of `tca`: weight μ of the coefficients' squares beside the distance of the two means."""
    epsilon: float = Field(0.1, gt=0, le=100)
    """Of `ot`: weight of the plan's entropy, in units of the median squared distance from source to target."""
    class_penalty: float = Field(0.0, ge=0, le=1e6)
    """Of `ot`: weight of what keeps source windows of different classes from sharing a target window; 0: labels are
    not looked at."""
    windows: int = Field(1000, ge=4, le=1000)
    """Of `tca` and `ot`: windows that they are computed from, at most half of them the source's and half the target's,
    drawn by the cell's seed where there are more."""


class AlignedSpec(ExperimentSpec):
    """An experiment with a method whose windows may be aligned."""

    alignment: AlignmentSpec = AlignmentSpec()
    """Shallow domain adaptation."""

    @property
    def uses_unlabelled(self) -> bool:
        """Only where windows are aligned."""
        return self.alignment.kind != "none"

    def unadapted(self: Self) -> Self:
        """Without alignment, which is done once for each fold."""
        return self.model_copy(update={"alignment": AlignmentSpec()})

    def contradictions(self) -> list[tuple[str, str]]:
        """An alignment that lacks the windows it needs, or that would do nothing."""
        kind, protocol = self.alignment.kind, self.protocol
        if kind == "none" or protocol.kind in GRANTING:
            return []
        if kind == "recentre" and protocol.kind == "honest":
            if protocol.subjects_per_fold > 1:
                return []
            why = (
                "'recentre' under the protocol 'honest' needs folds of at least two subjects, since the mean of one is "
                "that of the fine-tune part already, got protocol.subjects_per_fold: 1; raise it, or set 'none'"
            )
        else:
            also = ", or 'honest'" if kind == "recentre" else ""
            why = (
                f"{kind!r} needs unlabelled windows of the tested subjects, which the protocol must grant, got "
                f"{protocol.kind!r}, which grants none; set protocol.kind to {' or '.join(map(repr, GRANTING))}{also}"
            )
        return [("alignment.kind", why)]
