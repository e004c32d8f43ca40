"""Every split of a study made once before anything starts, so that a cell that cannot be run is known at once."""

from __future__ import annotations

from collections.abc import Callable

from scmmlab.config import canonical_json
from scmmlab.errors import SpecError, SplitError
from scmmlab.evaluation import Fold, make_folds
from scmmlab.study.cells import Cell
from scmmlab.study.plan import Plan
from scmmlab.tables import FeatureTable


def check_splits(plan: Plan, table_of: Callable[[str], FeatureTable]) -> dict[str, tuple[Fold, ...]]:
    """Make the folds of all cells; those of one transfer and protocol are made once.

    Parameters
    ----------
    plan : Plan
        The plan of an ablation, or of a sweep (whose base is checked).
    table_of : callable
        Location → feature table.

    Returns
    -------
    dict
        Folds by key of the cell.

    Raises
    ------
    SplitError, CorpusError
        If a fold would leak or lacks a class, or a selection leaves nothing.
    SpecError
        If a selected source has not one full batch.
    """
    sources: dict[str, FeatureTable] = {}
    made: dict[str, tuple[Fold, ...]] = {}
    folds: dict[str, tuple[Fold, ...]] = {}
    for cell in plan.distinct.values() if plan.cells else [plan.sampled("base", {})]:
        protocol, transfer = cell.experiment.protocol, cell.transfer
        name = canonical_json([transfer.model_dump(mode="json"), protocol.model_dump(mode="json")])
        source_name = canonical_json(transfer.source)
        if source_name not in sources:
            sources[source_name] = table_of(transfer.source.table).select(transfer.source)
        _check_batch(cell, len(sources[source_name]))
        if name not in made:
            target = table_of(transfer.target.table).select(transfer.target)
            try:
                made[name] = make_folds(protocol, sources[source_name], target)
            except SplitError as error:
                raise SplitError(
                    f"Variant '{cell.variant}', transfer '{transfer.name}': {error.message}", error.hint
                ) from None
        folds[cell.key] = made[name]
    return folds


def _check_batch(cell: Cell, windows: int) -> None:
    experiment = cell.experiment
    if experiment.pretrains and experiment.pretrain_batch > windows:
        raise SpecError(
            f"Invalid value for 'pretrain.batch_size' of variant '{cell.variant}': it must be at most the {windows} "
            f"windows of the source of transfer '{cell.transfer.name}', got {experiment.pretrain_batch}."
        )
