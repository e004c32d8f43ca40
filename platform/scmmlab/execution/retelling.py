"""Tells a tracker what the store holds of a study, so that the view is what it would be had it seen everything."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

from scmmlab.execution.recorder import Recorder
from scmmlab.execution.sweep_records import SweepRecords
from scmmlab.study import Plan, ResultStore, describe, study_status
from scmmlab.tables import read_table
from scmmlab.tracking import Tracker, data_inputs


def retell(plan: Plan, store: ResultStore, tracker: Tracker, report: Callable[[], Path]) -> Mapping[str, int]:
    """Tell `tracker` of every cell or setting that has ended, of failures, and of the report.

    Curves come from the records; what computed them is what the last run noted in the study's folder.

    Parameters
    ----------
    plan : Plan
        The study.
    store : ResultStore
        Where its results are; nothing is written there.
    tracker : Tracker
        A tracker to which nothing that it knows can be told twice.
    report : callable
        Writes the report and returns its folder.

    Returns
    -------
    mapping
        Number of cells or settings by state.

    Raises
    ------
    StoreError
        If the store cannot be read, or the tracker raises it.
    """
    status = study_status(plan, store)
    spec = plan.study.model_dump(mode="json")
    tracker.start_study(plan.study.name, spec, describe(plan, status.done), _versions(plan, store))
    if plan.study.kind == "sweep":
        counts = _settings(plan, store, tracker)
    else:
        recorder = Recorder(plan, store, tracker, read_table)
        recorder.finished_before(plan.distinct.values())
        for cell in status.cells:
            if cell.failure is not None:
                inputs = data_inputs(cell.cell, plan.source(cell.cell.transfer), plan.target(cell.cell.transfer))
                tracker.fail_cell(cell.cell, inputs, f"{cell.failure.stage}: {cell.failure.error}")
        counts = dict(status.counts)
        tracker.progress(counts["finished"], counts["failed"], len(plan.cells))
    # a setting that failed is what it is, a cell that failed is run again
    ended = counts["finished"] + (counts["failed"] if plan.study.kind == "sweep" else 0)
    begun = counts["finished"] + counts["failed"] > 0
    tracker.finish_study(report() if begun else None, complete=ended == sum(counts.values()))
    return counts


def _versions(plan: Plan, store: ResultStore) -> dict[str, str]:
    """What computed the study, as far as its folder says."""
    try:
        found = json.loads(store.study_folder(plan.study.name).read_text("versions.json") or "{}")
    except ValueError:  # it was edited by hand
        return {}
    return {str(name): str(version) for name, version in found.items()} if isinstance(found, dict) else {}


def _settings(plan: Plan, store: ResultStore, tracker: Tracker) -> dict[str, int]:
    assert plan.study.kind == "sweep"
    ended = SweepRecords(plan, store).ended
    for _, record in sorted(ended.items()):
        tracker.finish_tune_trial(record)
    failed = sum(record.state == "failed" for record in ended.values())
    tracker.progress(len(ended) - failed, failed, plan.study.tune_trials)
    missing = max(0, plan.study.tune_trials - len(ended))
    return {"finished": len(ended) - failed, "failed": failed, "missing": missing}
