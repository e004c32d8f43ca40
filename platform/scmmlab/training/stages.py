"""The stages as engines call them: lists of requests in, outputs or failures out, in the order of the requests."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from scmmlab.tables import FeatureTable
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
    "CellRequest",
    "PretrainRequest",
    "StageFailure",
    "StageKind",
    "StageOutput",
    "SweepRequest",
    "run_cell_stage",
    "run_evaluate_stage",
    "run_pretrain_stage",
    "run_sweep_stage",
]

Tables = Callable[[str], FeatureTable]


def run_pretrain_stage(
    requests: Sequence[PretrainRequest],
    tables: Tables,
    reporter: Reporter,
    device: str = "cpu",
    checkpoint_every: int = 10,
    pack_size: int | None = None,
) -> list[StageOutput | StageFailure]:
    """Pre-train `requests`, those whose tensors fit together in packs."""
    raise NotImplementedError


def run_cell_stage(
    requests: Sequence[CellRequest],
    tables: Tables,
    reporter: Reporter,
    device: str = "cpu",
    checkpoint_every: int = 10,
    pack_size: int | None = None,
) -> list[StageOutput | StageFailure]:
    """Fine-tune the folds of `requests`; the outputs hold test logits, and no test label has been read."""
    raise NotImplementedError


def run_evaluate_stage(request: CellRequest, finetuned: StageOutput, tables: Tables) -> StageOutput:
    """Open the sealed test labels of a fine-tuned cell and compute its figures."""
    raise NotImplementedError


def run_sweep_stage(
    request: SweepRequest,
    tables: Tables,
    reporter: Reporter,
    device: str = "cpu",
    checkpoint_every: int = 10,
) -> StageOutput | StageFailure:
    """Pre-train a setting of a sweep, probing it on the validation parts every `report_every` epochs."""
    raise NotImplementedError
