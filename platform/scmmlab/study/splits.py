"""Every split of a study made once before anything starts, so that a fold that cannot be is known at once."""

from __future__ import annotations

from collections.abc import Callable

from scmmlab.config import canonical_json
from scmmlab.errors import SplitError
from scmmlab.evaluation import Fold, make_folds
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
    """
    made: dict[str, tuple[Fold, ...]] = {}
    folds: dict[str, tuple[Fold, ...]] = {}
    for cell in plan.distinct.values() if plan.cells else [plan.sampled("base", {})]:
        protocol, transfer = cell.experiment.protocol, cell.transfer
        name = canonical_json([transfer.model_dump(mode="json"), protocol.model_dump(mode="json")])
        if name not in made:
            source, target = (table_of(side.table).select(side) for side in (transfer.source, transfer.target))
            try:
                made[name] = make_folds(protocol, source, target)
            except SplitError as error:
                raise SplitError(
                    f"Variant '{cell.variant}', transfer '{transfer.name}': {error.message}", error.hint
                ) from None
        folds[cell.key] = made[name]
    return folds
