"""Frozen specs of studies; YAML in, JSON schema out, fingerprints."""

from scmmlab.config.base import Spec, canonical_json, fingerprint
from scmmlab.config.data import CorpusSelection, TransferSpec
from scmmlab.config.experiment import (
    ExperimentSpec,
    OptimizerSpec,
    default_experiment,
)
from scmmlab.config.loading import LoadedStudy, json_schema, load_study, study_yaml
from scmmlab.config.protocol import (
    HonestProtocol,
    LosoProtocol,
    ProtocolSpec,
    Regime,
    ReleasedProtocol,
    UdaInductiveProtocol,
    UdaTransductiveProtocol,
    ZeroShotProtocol,
)
from scmmlab.config.search_space import (
    Choices,
    Domain,
    FloatRange,
    IntRange,
    conditions,
    is_among,
    is_searched,
    never_searched,
    sampling_order,
)
from scmmlab.config.study import (
    AblationSpec,
    AshaSpec,
    PublishedFigure,
    ResourcesSpec,
    StatisticsSpec,
    StudySpec,
    SweepSpec,
    VariantSpec,
    WorkerRange,
)
from scmmlab.config.variants import resolve_transfer, resolve_variant

__all__ = [
    "AblationSpec",
    "AshaSpec",
    "Choices",
    "CorpusSelection",
    "Domain",
    "ExperimentSpec",
    "FloatRange",
    "HonestProtocol",
    "IntRange",
    "LoadedStudy",
    "LosoProtocol",
    "OptimizerSpec",
    "ProtocolSpec",
    "PublishedFigure",
    "Regime",
    "ReleasedProtocol",
    "ResourcesSpec",
    "Spec",
    "StatisticsSpec",
    "StudySpec",
    "SweepSpec",
    "TransferSpec",
    "UdaInductiveProtocol",
    "UdaTransductiveProtocol",
    "VariantSpec",
    "WorkerRange",
    "ZeroShotProtocol",
    "canonical_json",
    "conditions",
    "default_experiment",
    "fingerprint",
    "is_among",
    "is_searched",
    "json_schema",
    "load_study",
    "never_searched",
    "resolve_transfer",
    "resolve_variant",
    "sampling_order",
    "study_yaml",
]
