"""Other ways of pre-training SCMM's encoder, each by its own defaults of SCMM's settings: only the objective differs.

| method | positives | loss |
|---|---|---|
| `simclr` | two augmented copies of a window | NT-Xent of cosines (Chen et al. 2020) |
| `mae` | none | error of hidden values against the window (He et al. 2022) |
| `mixup` | a mixture and the two windows that it was made of | Wickstrøm et al. 2022 |
| `simmtm` | three masked copies of a window | NT-Xent of cosines, and reconstruction from them (Dong et al. 2023) |
| `softclt` | windows of a trial, by their distance in time | soft contrast of products (Lee et al. 2024) |

Network, optimiser, epochs, fine-tuning and seeds are SCMM's; so are all its settings, which keep their names.
`docs/methods/scmm-family.md` says where each differs from its paper.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from scmmlab.methods.contract import Method
from scmmlab.methods.scmm import METHOD
from scmmlab.methods.scmm.spec import (
    AggregatorSpec,
    AugmentationSpec,
    ContrastSpec,
    LossSpec,
    MaskingSpec,
    ReconstructionSpec,
    ScmmSpec,
)

if TYPE_CHECKING:
    from scmmlab.methods.golden import GoldenVerifier

_NO_AGGREGATOR = AggregatorSpec(enabled=False)
_NO_RECONSTRUCTION = ReconstructionSpec(enabled=False)
_NO_CONTRAST = ContrastSpec(enabled=False)
_ONE_LOSS = LossSpec(weighting="fixed")
"""A weight that is learned has nothing to be weighed against."""
_TWO_COPIES = MaskingSpec(mode="random", ratio=0.2, views=2, originals=False)
_JITTER = AugmentationSpec(noise=0.1)


class SimClrSpec(ScmmSpec):
    """An experiment with SimCLR's objective."""

    method: Literal["simclr"] = "simclr"  # type: ignore[assignment]
    """What is trained."""
    masking: MaskingSpec = _TWO_COPIES
    """Which input values a view hides."""
    augmentation: AugmentationSpec = _JITTER
    """What else changes a view."""
    contrast: ContrastSpec = ContrastSpec(weights="hard", similarity="cosine", normaliser="rows")
    """The contrastive loss."""
    aggregator: AggregatorSpec = _NO_AGGREGATOR
    """The aggregator."""
    reconstruction: ReconstructionSpec = _NO_RECONSTRUCTION
    """The reconstruction loss."""
    loss: LossSpec = _ONE_LOSS
    """How the losses are added."""


class MaeSpec(ScmmSpec):
    """An experiment with a masked autoencoder's objective."""

    method: Literal["mae"] = "mae"  # type: ignore[assignment]
    """What is trained."""
    masking: MaskingSpec = MaskingSpec(mode="random", originals=False)
    """Which input values a view hides."""
    contrast: ContrastSpec = _NO_CONTRAST
    """The contrastive loss."""
    aggregator: AggregatorSpec = _NO_AGGREGATOR
    """The aggregator."""
    reconstruction: ReconstructionSpec = ReconstructionSpec(target="original", on="masked")
    """The reconstruction loss."""
    loss: LossSpec = _ONE_LOSS
    """How the losses are added."""


class MixupSpec(ScmmSpec):
    """An experiment with the objective of mixup contrastive learning."""

    method: Literal["mixup"] = "mixup"  # type: ignore[assignment]
    """What is trained."""
    masking: MaskingSpec = MaskingSpec(mode="none")
    """Which input values a view hides."""
    augmentation: AugmentationSpec = AugmentationSpec(mixup=1.0)
    """What else changes a view."""
    contrast: ContrastSpec = ContrastSpec(weights="hard", similarity="cosine", normaliser="weight_mass")
    """The contrastive loss."""
    aggregator: AggregatorSpec = _NO_AGGREGATOR
    """The aggregator."""
    reconstruction: ReconstructionSpec = _NO_RECONSTRUCTION
    """The reconstruction loss."""
    loss: LossSpec = _ONE_LOSS
    """How the losses are added."""


class SimMtmSpec(ScmmSpec):
    """An experiment with SimMTM's objective."""

    method: Literal["simmtm"] = "simmtm"  # type: ignore[assignment]
    """What is trained."""
    masking: MaskingSpec = MaskingSpec(mode="random", views=3)
    """Which input values a view hides."""
    contrast: ContrastSpec = ContrastSpec(weights="hard", similarity="cosine", normaliser="rows", temperature=0.2)
    """The contrastive loss."""


class SoftCltSpec(ScmmSpec):
    """An experiment with SoftCLT's objective, soft in time."""

    method: Literal["softclt"] = "softclt"  # type: ignore[assignment]
    """What is trained."""
    masking: MaskingSpec = _TWO_COPIES
    """Which input values a view hides."""
    augmentation: AugmentationSpec = _JITTER
    """What else changes a view."""
    contrast: ContrastSpec = ContrastSpec(positives="trial_time", normaliser="rows")
    """The contrastive loss."""
    aggregator: AggregatorSpec = _NO_AGGREGATOR
    """The aggregator."""
    reconstruction: ReconstructionSpec = _NO_RECONSTRUCTION
    """The reconstruction loss."""
    loss: LossSpec = _ONE_LOSS
    """How the losses are added."""


def _golden(name: str) -> Callable[[], GoldenVerifier]:
    def load() -> GoldenVerifier:
        from scmmlab.methods.scmm import family_golden

        verifier: GoldenVerifier = getattr(family_golden, name)()
        return verifier

    return load


def _preset(name: str, title: str, spec: type[ScmmSpec], golden: str, paper: str, checked: str) -> Method:
    return Method(
        name=name,
        version="1",
        title=f"{title}, on SCMM's encoder",
        spec=spec,
        load=METHOD.load,
        budget=METHOD.budget,
        metrics=METHOD.metrics,
        rules=METHOD.rules,
        golden=_golden(golden),
        replicas=True,
        paper=paper,
        checked=checked,
    )


SIMCLR = _preset(
    "simclr",
    "contrast of two augmented copies of a window",
    SimClrSpec,
    "NtXentGolden",
    "Chen et al. 2020",
    "TS-TCC (MIT)",
)
MAE = _preset(
    "mae",
    "reconstruction of hidden values",
    MaeSpec,
    "MaskedReconstructionGolden",
    "He et al. 2022",
    "the equation, by NumPy",
)
MIXUP = _preset(
    "mixup",
    "contrast of mixtures with the two windows that they were made of",
    MixupSpec,
    "MixupGolden",
    "Wickstrøm et al. 2022",
    "TF-C (MIT)",
)
SIMMTM = _preset(
    "simmtm",
    "reconstruction from masked copies and similar windows",
    SimMtmSpec,
    "SimMtmGolden",
    "Dong et al. 2023",
    "the authors' released code (no licence)",
)
SOFTCLT = _preset(
    "softclt",
    "contrast of windows of a trial by their distance in time",
    SoftCltSpec,
    "SoftCltGolden",
    "Lee et al. 2024",
    "the authors' released code (no licence)",
)
