"""Recomputing a finished cell from its record, including its pre-training, without using its stored results."""

from __future__ import annotations

from dataclasses import replace

from scmmlab.config import ExperimentSpec
from scmmlab.errors import StoreError, TrainingError
from scmmlab.execution.engines import EngineName, run_study
from scmmlab.execution.own_folder import OwnFolder
from scmmlab.study import Cell, Plan, ResultStore, cell_key
from scmmlab.study.objects import Record


def rerun_cell(plan: Plan, cell: Cell, record: Record, engine: EngineName = "local") -> Record:
    """The record of `cell`, recomputed.

    Parameters
    ----------
    plan : Plan
        Its study, for tables and resources.
    cell : Cell
        The cell.
    record : dict
        Its record, which says what was run.
    engine : {"local", "ray"}
        What computes it.

    Raises
    ------
    StoreError
        If the record belongs to another experiment than its key.
    TrainingError
        If the cell fails this time.
    """
    experiment = ExperimentSpec.model_validate(record["experiment"])
    source, target = plan.source(cell.transfer), plan.target(cell.transfer)
    if cell_key(experiment, cell.transfer, source, target, tuple(record["channels"]), record["seed"]) != cell.key:
        raise StoreError(f"The record of cell {cell.key} belongs to another experiment than its key.")
    alone = Plan(plan.study, (replace(cell, experiment=experiment),), plan.manifests, plan.channels)
    with OwnFolder("rerun") as folder:
        store = ResultStore(folder)
        summary = run_study(alone, store, engine)
        found = store.get_cell(cell.key)
    if found is None:
        raise TrainingError(f"The cell could not be recomputed: {'; '.join(summary.failures)}.")
    return found
