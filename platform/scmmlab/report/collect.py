"""What the store says of a study, as the values that a report is made from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scmmlab.report.inputs import CellResult, CellState, StudyResults, TuneTrial
from scmmlab.study import Plan, ResultStore, search_records, study_status
from scmmlab.study.status import CellState as StoredState

_STATES: dict[StoredState, CellState] = {StoredState.FINISHED: "finished", StoredState.FAILED: "failed"}


def collect_results(plan: Plan, store: ResultStore, versions: Mapping[str, str]) -> StudyResults:
    """A study as far as it got.

    Parameters
    ----------
    plan : Plan
        What was to be run.
    store : ResultStore
        What was.
    versions : mapping of str to str
        What computed it.

    Raises
    ------
    StoreError
        When the folder of a sweep holds settings of another search.
    """
    cells = []
    for status in study_status(plan, store).cells:
        cell = status.cell
        cells.append(
            CellResult(
                variant=cell.variant,
                transfer=cell.transfer.name,
                seed=cell.seed,
                key=cell.key,
                experiment=cell.experiment,
                state=_STATES.get(status.state, "missing"),
                record=store.get_cell(cell.key) if status.state is StoredState.FINISHED else None,
                error=status.failure.error if status.failure else None,
            )
        )
    return StudyResults(
        study=plan.study,
        cells=tuple(cells),
        corpora=plan.manifests,
        versions=versions,
        sweep=tuple(_tune_trials(plan, store)),
    )


def _tune_trials(plan: Plan, store: ResultStore) -> list[TuneTrial]:
    if plan.study.kind != "sweep":
        return []
    return [_tune_trial(record) for record in search_records(plan, store)]


def _tune_trial(record: Mapping[str, Any]) -> TuneTrial:
    return TuneTrial(
        number=record["number"],
        params=record["params"],
        value=record["value"],
        intermediate=tuple((epoch, value) for epoch, value in record["intermediate"]),
        state=record["state"],
        error=record.get("error"),
    )
