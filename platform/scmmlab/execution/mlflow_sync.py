"""Backfills a tracker from the store, so that the view is what it would be had the tracker seen the whole study."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from itertools import count
from pathlib import Path

from scmmlab.execution.recorder import Recorder
from scmmlab.study import Plan, ResultStore, describe, settled_records, study_status
from scmmlab.study.attempts import by_versions, ended_names, latest_versions
from scmmlab.tables import read_table
from scmmlab.tracking import Tracker, data_inputs


def backfill(
    plan: Plan,
    store: ResultStore,
    tracker: Tracker,
    report: Callable[[], Path],
    progress: Callable[[int, int], None],
) -> Mapping[str, int]:
    """Show `tracker` every cell or setting that has ended, every failure, and the report.

    Curves come from the records; the versions that computed them from the attempts kept in the study's folder.

    Parameters
    ----------
    plan : Plan
        The study.
    store : ResultStore
        Where its results are; nothing is written there.
    tracker : Tracker
        A tracker that may be shown again what it has.
    report : callable
        Writes the report and returns its folder.
    progress : callable
        Is given how many cells or settings were shown, of how many.

    Returns
    -------
    mapping
        Number of cells or settings by state.

    Raises
    ------
    StoreError
        If the store cannot be read, or the tracker raises it.
    """
    status, folder = study_status(plan, store), store.study_folder(plan.study.name)
    spec, text = plan.study.model_dump(mode="json"), describe(plan, status.done)
    ended = ended_names(plan, store)
    show = _backfill_settings if plan.study.kind == "sweep" else _backfill_cells
    # runs bear the versions of the attempt that computed them; the last attempt's come last, with everything
    *earlier, last = by_versions(folder, ended) or [(latest_versions(folder), [])]
    attempts = [*earlier, (last[0], ended)]
    total = sum(len(names) for _, names in attempts)
    shown = count(1)
    for versions, names in attempts:
        tracker.start_study(plan.study.name, spec, text, versions)
        for _ in show(plan, store, tracker, names):
            progress(next(shown), total)
    if plan.study.kind == "sweep":
        counts = _count_settings(plan, store, tracker)
    else:
        for cell in status.cells:
            if cell.failure is not None:
                inputs = data_inputs(cell.cell, plan.source(cell.cell.transfer), plan.target(cell.cell.transfer))
                tracker.fail_cell(cell.cell, inputs, f"{cell.failure.stage}: {cell.failure.error}")
        counts = dict(status.counts)
        tracker.progress(counts["finished"], counts["failed"], len(plan.cells))
    # a setting that failed is what it is, a cell that failed is run again
    done = counts["finished"] + (counts["failed"] if plan.study.kind == "sweep" else 0)
    begun = counts["finished"] + counts["failed"] > 0
    tracker.finish_study(report() if begun else None, complete=done == sum(counts.values()))
    return counts


def _backfill_cells(plan: Plan, store: ResultStore, tracker: Tracker, keys: Collection[str]) -> Iterator[str]:
    """Show cells; yields each when it was shown."""
    recorder = Recorder(plan, store, tracker, read_table)
    for key, cell in plan.distinct.items():
        if key in keys:
            recorder.finished_before([cell])
            yield key


def _backfill_settings(plan: Plan, store: ResultStore, tracker: Tracker, names: Collection[str]) -> Iterator[str]:
    """Show settings; yields each when it was shown."""
    for record in settled_records(plan, store):
        if record.name in names:
            tracker.finish_tune_trial(record)
            yield record.name


def _count_settings(plan: Plan, store: ResultStore, tracker: Tracker) -> dict[str, int]:
    assert plan.study.kind == "sweep"
    ended = settled_records(plan, store)
    failed = sum(record.state == "failed" for record in ended)
    tracker.progress(len(ended) - failed, failed, plan.study.tune_trials)
    missing = max(0, plan.study.tune_trials - len(ended))
    return {"finished": len(ended) - failed, "failed": failed, "missing": missing}
