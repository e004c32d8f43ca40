"""What the store says of a study: which cells are finished, failed or missing. It knows no engine, so none running."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import Enum

from scmmlab.study.cells import Cell
from scmmlab.study.plan import Plan
from scmmlab.study.store import Failure, ResultStore


class CellState(Enum):
    """Where a cell stands. Failed and missing cells are run by the next `scmmlab run`."""

    FINISHED = "finished"
    FAILED = "failed"
    MISSING = "missing"


@dataclass(frozen=True)
class CellStatus:
    """One cell and where it stands."""

    cell: Cell
    """The cell."""
    state: CellState
    """Where it stands."""
    failure: Failure | None = None
    """Why it failed: itself, or the pre-training that it starts from."""


@dataclass(frozen=True)
class StudyStatus:
    """All cells of a plan and where they stand."""

    cells: tuple[CellStatus, ...]
    """In the order of the plan."""
    done: frozenset[str]
    """Keys of finished stages: of cells, and of pre-training."""

    @property
    def counts(self) -> dict[str, int]:
        """Number of cells in each state."""
        counted = Counter(status.state for status in self.cells)
        return {state.value: counted[state] for state in CellState}

    @property
    def complete(self) -> bool:
        """Whether every cell is finished."""
        return all(status.state is CellState.FINISHED for status in self.cells)

    def text(self) -> str:
        """A line of counts, and a line for each cell that is not finished."""
        counts = ", ".join(f"{number} {state}" for state, number in self.counts.items())
        lines = [f"{len(self.cells)} cells: {counts}"]
        for status in self.cells:
            if status.failure:
                tries = f", tried {status.failure.attempts} times" if status.failure.attempts > 1 else ""
                where = f"{status.failure.stage}{tries}"
                lines.append(f"  failed   {status.cell.name}  ({where}): {status.failure.error}")
            elif status.state is CellState.MISSING:
                lines.append(f"  missing  {status.cell.name}")
        return "\n".join(lines) + "\n"


def study_status(plan: Plan, store: ResultStore) -> StudyStatus:
    """Look up every cell of `plan` in `store`.

    Records of finished cells are read, so that a damaged one is set aside and counts as missing. Encoders are listed
    only: a damaged one shows when it is needed, and is made again then.
    """
    listed, failed = store.keys("cells"), store.keys("failures")
    finished = {key for key in plan.distinct if key in listed and store.get_cell(key) is not None}
    failures = {
        key: failure
        for key in failed & (plan.distinct.keys() | plan.pretraining.keys())
        if (failure := store.failure(key)) is not None
    }
    pretrained = store.keys("pretrain") & plan.pretraining.keys()

    def status(cell: Cell) -> CellStatus:
        if cell.key in finished:
            return CellStatus(cell, CellState.FINISHED)
        failure = failures.get(cell.key) or failures.get(cell.pretrain_key or "")
        return CellStatus(cell, CellState.FAILED if failure else CellState.MISSING, failure)

    return StudyStatus(tuple(status(cell) for cell in plan.cells), frozenset(finished | pretrained))
