"""What the store says of a study, as the values that a report is made from."""

from __future__ import annotations

from collections.abc import Mapping

from scmmlab.report.inputs import CellResult, StudyResults
from scmmlab.study import CellState, Plan, ResultStore, search_records, study_status


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
                state=status.state,
                record=store.get_cell(cell.key) if status.state is CellState.FINISHED else None,
                error=status.failure.error if status.failure else None,
            )
        )
    return StudyResults(
        study=plan.study,
        cells=tuple(cells),
        corpora=plan.manifests,
        versions=versions,
        sweep=tuple(search_records(plan, store)) if plan.study.kind == "sweep" else (),
    )
