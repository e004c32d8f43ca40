"""Deep domain adaptation on SCMM's network: its encoder and classifier, and an alignment of their features."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from scmmlab.methods.contract import ACCURACIES, Method, Metric, Trainer
from scmmlab.methods.deep_alignment.spec import DannSpec, DanSpec, DdcSpec, DeepCoralSpec

if TYPE_CHECKING:  # imported when it runs
    from scmmlab.methods.golden import GoldenVerifier


def _load_dann() -> Trainer:
    from scmmlab.methods.deep_alignment.domain_head import DomainHead
    from scmmlab.methods.deep_alignment.trainer import DeepAlignmentTrainer

    return DeepAlignmentTrainer(lambda spec: DomainHead(spec.domain_width, spec.domain_dropout), weight=2.2)


def _load_ddc() -> Trainer:
    from scmmlab.methods.deep_alignment.linear_mmd import LinearMmd
    from scmmlab.methods.deep_alignment.trainer import DeepAlignmentTrainer

    return DeepAlignmentTrainer(lambda _: LinearMmd(), weight=2.1)


def _load_dan() -> Trainer:
    from scmmlab.methods.deep_alignment.kernel_mmd import KernelMmd
    from scmmlab.methods.deep_alignment.trainer import DeepAlignmentTrainer

    return DeepAlignmentTrainer(lambda spec: KernelMmd(spec.pairs, spec.bandwidth), weight=2.4)


def _load_deep_coral() -> Trainer:
    from scmmlab.methods.deep_alignment.coral import Coral
    from scmmlab.methods.deep_alignment.trainer import DeepAlignmentTrainer

    return DeepAlignmentTrainer(lambda _: Coral(), weight=2.2)


def _golden_dann() -> GoldenVerifier:
    from scmmlab.methods.deep_alignment.golden import DannGolden

    return DannGolden()


def _golden_ddc() -> GoldenVerifier:
    from scmmlab.methods.deep_alignment.golden import LinearMmdGolden

    return LinearMmdGolden()


def _golden_dan() -> GoldenVerifier:
    from scmmlab.methods.deep_alignment.golden import KernelMmdGolden

    return KernelMmdGolden()


def _golden_deep_coral() -> GoldenVerifier:
    from scmmlab.methods.deep_alignment.golden import CoralGolden

    return CoralGolden()


_SEES: frozenset[Literal["source_labels", "unlabelled_target"]] = frozenset({"source_labels", "unlabelled_target"})
_LOSS = Metric("loss", "cross-entropy")

DANN = Method(
    name="dann",
    version="1",
    title="domain-adversarial training of SCMM's network: a classifier of domains behind gradient reversal",
    replicas=True,
    paper="Ganin and Lempitsky 2015",
    checked="torcheeg (MIT)",
    spec=DannSpec,
    load=_load_dann,
    sees=_SEES,
    metrics={"finetune": (_LOSS, Metric("alignment", "domain loss", "higher"), *ACCURACIES)},
    golden=_golden_dann,
)
DDC = Method(
    name="ddc",
    version="1",
    title="SCMM's network with the distance of mean features between source and target (linear MMD)",
    replicas=True,
    paper="Tzeng et al. 2014",
    checked="MS-MDA (MIT), torcheeg (MIT)",
    spec=DdcSpec,
    load=_load_ddc,
    sees=_SEES,
    metrics={"finetune": (_LOSS, Metric("alignment", "linear MMD"), *ACCURACIES)},
    golden=_golden_ddc,
)
DAN = Method(
    name="dan",
    version="1",
    title="SCMM's network with the discrepancy of features by five kernels between source and target (MK-MMD)",
    replicas=True,
    paper="Long et al. 2015",
    checked="MS-MDA (MIT), torcheeg (MIT)",
    spec=DanSpec,
    load=_load_dan,
    sees=_SEES,
    metrics={"finetune": (_LOSS, Metric("alignment", "multi-kernel MMD"), *ACCURACIES)},
    golden=_golden_dan,
)
DEEP_CORAL = Method(
    name="deep_coral",
    version="1",
    title="SCMM's network with the distance of covariances of features between source and target",
    replicas=True,
    paper="Sun and Saenko 2016",
    checked="the equation, by NumPy",
    spec=DeepCoralSpec,
    load=_load_deep_coral,
    sees=_SEES,
    metrics={"finetune": (_LOSS, Metric("alignment", "CORAL"), *ACCURACIES)},
    golden=_golden_deep_coral,
)
