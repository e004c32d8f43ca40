"""Frozen specs of studies; YAML in, JSON schema out, fingerprints."""

from scmmlab.config.base import Spec, canonical_json, fingerprint
from scmmlab.config.data import CorpusSelection, TransferSpec
from scmmlab.config.experiment import (
    AggregatorSpec,
    ContrastSpec,
    ExperimentSpec,
    FinetuneSpec,
    LossSpec,
    MaskingSpec,
    NetworkSpec,
    OptimizerSpec,
    PretrainSpec,
    ReconstructionSpec,
)
from scmmlab.config.loading import LoadedStudy, json_schema, load_study, study_yaml
from scmmlab.config.protocol import (
    HonestProtocol,
    LosoProtocol,
    ProtocolSpec,
    ReleasedProtocol,
    ZeroShotProtocol,
)
from scmmlab.config.study import (
    AblationSpec,
    AshaSpec,
    Choices,
    FloatRange,
    IntRange,
    ResourcesSpec,
    StatisticsSpec,
    StudySpec,
    SweepSpec,
    VariantSpec,
)
from scmmlab.config.variants import resolve_transfer, resolve_variant

__all__ = [
    "AblationSpec",
    "AggregatorSpec",
    "AshaSpec",
    "Choices",
    "ContrastSpec",
    "CorpusSelection",
    "ExperimentSpec",
    "FinetuneSpec",
    "FloatRange",
    "HonestProtocol",
    "IntRange",
    "LoadedStudy",
    "LosoProtocol",
    "LossSpec",
    "MaskingSpec",
    "NetworkSpec",
    "OptimizerSpec",
    "PretrainSpec",
    "ProtocolSpec",
    "ReconstructionSpec",
    "ReleasedProtocol",
    "ResourcesSpec",
    "Spec",
    "StatisticsSpec",
    "StudySpec",
    "SweepSpec",
    "TransferSpec",
    "VariantSpec",
    "ZeroShotProtocol",
    "canonical_json",
    "fingerprint",
    "json_schema",
    "load_study",
    "resolve_transfer",
    "resolve_variant",
    "study_yaml",
]
