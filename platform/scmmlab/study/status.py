"""What the store says of a study: which cells are finished, failed, at work, lost or missing. It asks no engine."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from scmmlab.errors import FailureCause
from scmmlab.study.cells import Cell
from scmmlab.study.claims import SeenClaim
from scmmlab.study.plan import Plan
from scmmlab.study.store import Failure, ResultStore
from scmmlab.study.study_lease import lease_holders
from scmmlab.study.worker_losses import worker_losses

CAUSES: dict[FailureCause, str] = {"out_of_memory": "out of memory", "diverged": "diverged", "lost": "worker lost"}
"""What is said of a failure that is not an error like any other."""
ADVICE: dict[FailureCause, str] = {
    "out_of_memory": "a lower resources.pack_size, fewer workers on a machine (resources.cpus_per_worker, "
    "resources.workers), or a machine with more memory",
    "lost": "look at its log; the next run retries it",
}


class CellState(StrEnum):
    """Where a cell stands. All but finished and running ones are run by the next `scmmlab run`."""

    FINISHED = "finished"
    FAILED = "failed"
    RUNNING = "running"
    """A driver that is there has begun it."""
    LOST = "lost"
    """A driver that is gone had begun it; its last checkpoint is gone on from."""
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
    trace: str | None = None
    """The object in the store that holds the trace of the failure."""
    progress: str = ""
    """How far it was at its driver's last sign."""


@dataclass(frozen=True)
class StudyStatus:
    """All cells of a plan and where they stand."""

    cells: tuple[CellStatus, ...]
    """In the order of the plan."""
    done: frozenset[str]
    """Keys of finished stages: of cells, and of pre-training."""
    work: tuple[str, ...] = ()
    """A line for each driver that is there, or gone without letting go, and one on what was kept last."""

    @property
    def counts(self) -> dict[str, int]:
        """Number of cells in each state; of running and lost ones where there are any."""
        counted = Counter(status.state for status in self.cells)
        rare = (CellState.RUNNING, CellState.LOST)
        return {str(state): counted[state] for state in CellState if counted[state] or state not in rare}

    @property
    def complete(self) -> bool:
        """Whether every cell is finished."""
        return all(status.state is CellState.FINISHED for status in self.cells)

    def text(self) -> str:
        """A line of counts, lines on drivers and what they keep, and one or two for each cell that is not finished."""
        counts = ", ".join(f"{number} {state}" for state, number in self.counts.items())
        lines = [f"{len(self.cells)} cells: {counts}", *self.work]
        for status in self.cells:
            name = f"  {status.state:<8} {status.cell.name}"
            if status.failure:
                lines.append(f"{name}  {failure_text(status.failure)}")
                lines += [f"           {line}" for line in _more(status.failure, status.trace)]
            elif status.state is not CellState.FINISHED:
                lines.append(f"{name}  ({status.progress})" if status.progress else name)
        return "\n".join(lines) + "\n"


def failure_text(failure: Failure) -> str:
    """What failed, how often, of what, and why, in a line."""
    tries = f", tried {failure.attempts} times" if failure.attempts > 1 else ""
    cause = f"{CAUSES[failure.cause]}: " if failure.cause in CAUSES else ""
    return f"({failure.stage}{tries}): {cause}{failure.error}"


def _more(failure: Failure, trace: str | None) -> list[str]:
    """What to do about a failure, and where to read on."""
    advice = [f"to do: {ADVICE[failure.cause]}"] if failure.cause in ADVICE else []
    places = {"trace": trace, "log": failure.log}
    return advice + [f"its {what} is in {place}" for what, place in places.items() if place]


def study_status(plan: Plan, store: ResultStore, ask_drivers: bool = False) -> StudyStatus:
    """Look up every cell of `plan` in `store`.

    Records of finished cells are read, so that a damaged one is set aside and counts as missing. Encoders are listed
    only: a damaged one shows when it is needed, and is made again then.

    Parameters
    ----------
    plan : Plan
        The study.
    store : ResultStore
        Where it is looked up.
    ask_drivers : bool
        Whether cells are told as running or lost, by the claims of drivers; they are missing, or failed, otherwise.
    """
    listed, failed = store.keys("cells"), store.keys("failures")
    finished = {key for key in plan.distinct if key in listed and store.get_cell(key) is not None}
    failures = {
        key: failure
        for key in failed & (plan.distinct.keys() | plan.pretraining.keys())
        if (failure := store.failure(key)) is not None
    }
    pretrained = store.keys("pretrain") & plan.pretraining.keys()
    live, gone = lease_holders(store.study_folder(plan.study.name)) if ask_drivers else ([], [])
    running, lost = _active_cells(live), _active_cells(gone)

    def status(cell: Cell) -> CellStatus:
        if cell.key in finished:
            return CellStatus(cell, CellState.FINISHED)
        if cell.key in running:
            return CellStatus(cell, CellState.RUNNING, progress=running[cell.key])
        failed = next((key for key in (cell.key, cell.pretrain_key) if key in failures), None)
        if failed is not None:
            failure = failures[failed]
            trace = f"{store.uri}/failures/{failed}.json" if failure.traceback else None
            return CellStatus(cell, CellState.FAILED, failure, trace)
        if cell.key in lost:
            return CellStatus(cell, CellState.LOST, progress=lost[cell.key])
        return CellStatus(cell, CellState.MISSING)

    lines = _work_lines(live, gone, plan, store) if ask_drivers else ()
    return StudyStatus(tuple(status(cell) for cell in plan.cells), frozenset(finished | pretrained), lines)


def work_lines(plan: Plan, store: ResultStore) -> tuple[str, ...]:
    """A line for each driver that is there or gone without letting go, and on lost workers and what was kept last."""
    return _work_lines(*lease_holders(store.study_folder(plan.study.name)), plan, store)


def _work_lines(live: list[SeenClaim], gone: list[SeenClaim], plan: Plan, store: ResultStore) -> tuple[str, ...]:
    return (*_driver_lines(live, gone), *_loss_lines(plan, store), *_last_lines(plan, store))


def _last_lines(plan: Plan, store: ResultStore) -> tuple[str, ...]:
    """When a study kept something last, which shows whether it gets on; nothing where there is nothing."""
    if plan.cells:
        last = store.last_written(plan.distinct.keys() | plan.pretraining.keys())
    else:  # the keys of a sweep's settings are known when they are drawn: what other sweeps keep counts too
        times = (store.study_folder(plan.study.name).last_trial(), store.last_checkpoint("probe"))
        last = max((time for time in times if time is not None), default=None)
    if last is None:
        return ()
    return (f"Last result or checkpoint: {datetime.fromtimestamp(last, UTC):%Y-%m-%d %H:%M:%S} UTC.",)


def _loss_lines(plan: Plan, store: ResultStore) -> tuple[str, ...]:
    """How many workers the last run lost, where it lost any."""
    losses = worker_losses(store.study_folder(plan.study.name))
    return (f"The last run lost {losses.text()}; the last time {losses.last}.",) if losses.text() else ()


def _driver_lines(live: list[SeenClaim], gone: list[SeenClaim]) -> tuple[str, ...]:
    return (
        *(
            f"A driver has held {f'part {claim.part}' if claim.part else 'it'} since {claim.since}."
            for claim in (seen.claim for seen in live)
        ),
        *(
            f"The driver {f'of part {claim.part} ' if claim.part else ''}that started at {claim.since} is gone; "
            f"'scmmlab run' continues from there."
            for claim in (seen.claim for seen in gone)
        ),
    )


def _active_cells(claims: list[SeenClaim]) -> dict[str, str]:
    return {key: progress for seen in claims for key, progress in seen.claim.active_cells.items()}
