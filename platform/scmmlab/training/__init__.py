"""Pre-training, fine-tuning and evaluation of packs; checkpoints, seeds, and the sweep's probe."""

from scmmlab.training.numerics import NUMERICS
from scmmlab.training.reporter import Reporter
from scmmlab.training.requests import (
    CellRequest,
    PretrainRequest,
    StageFailure,
    StageKind,
    StageOutput,
    SweepRequest,
)

__all__ = [
    "NUMERICS",
    "CellRequest",
    "PretrainRequest",
    "Reporter",
    "StageFailure",
    "StageKind",
    "StageOutput",
    "SweepRequest",
]
