"""Pre-training, fine-tuning and evaluation of packs; checkpoints, seeds, and the sweep's probe."""

from scmmlab.training.reporter import Reporter
from scmmlab.training.requests import CellRequest, PretrainRequest, StageFailure, StageKind, StageOutput, SweepRequest

__all__ = [
    "CellRequest",
    "PretrainRequest",
    "Reporter",
    "StageFailure",
    "StageKind",
    "StageOutput",
    "SweepRequest",
]
