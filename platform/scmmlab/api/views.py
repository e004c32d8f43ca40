"""What a notebook sees of a study: its plan, where its cells stand, and what a run has come to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from scmmlab.execution.summary import RunSummary
from scmmlab.report.summary import summary_table
from scmmlab.study import Cell, Plan, ResultStore, Shard, TuneTrialRecord, describe, search_records, study_status
from scmmlab.study.record_diff import Difference
from scmmlab.study.status import work_lines

if TYPE_CHECKING:
    import pandas as pd

    from scmmlab.api.reports import Report


@dataclass(frozen=True, repr=False)
class PlanView:
    """What a study will run; `str` of it is what ``scmmlab plan`` prints."""

    plan: Plan
    """The plan itself."""
    store: ResultStore
    """Where its results are."""

    @cached_property
    def done(self) -> frozenset[str]:
        """Keys of finished stages, when they were first asked for."""
        return study_status(self.plan, self.store).done

    def __repr__(self) -> str:
        return describe(self.plan, self.done)

    @property
    def text(self) -> str:
        """The plan in words."""
        return str(self)

    @property
    def cells(self) -> pd.DataFrame:
        """One row a cell: `variant`, `transfer`, `seed`, `key`, `pretrain_key` and whether it is `finished`.

        A sweep has none: its settings are sampled as it goes.
        """
        from scmmlab.api.frames import frame_of

        rows = [
            {**_named(cell), "pretrain_key": cell.pretrain_key, "finished": cell.key in self.done}
            for cell in self.plan.cells
        ]
        columns = ("variant", "transfer", "seed", "key", "pretrain_key", "finished")
        return frame_of(rows, columns, {"seed": "int64", "finished": "bool"})

    def to_json(self) -> dict[str, Any]:
        """The plan as plain values, with the keys of cells and their stages."""
        return self.plan.to_json()

    def estimate(self, engine: str = "ray") -> str:
        """The time that what is missing will take on this machine, by a short probe, as a sentence.

        Parameters
        ----------
        engine : {"ray", "local"}
            What will run it.
        """
        from scmmlab.execution.estimate import estimate

        return estimate(self.plan, self.done, engine)

    def _repr_html_(self) -> str:
        from scmmlab.api.frames import preformatted

        return preformatted(str(self))


@dataclass(frozen=True, repr=False)
class StatusView:
    """Where a study stands; `str` of it is what ``scmmlab status`` prints."""

    text: str
    """In words: counts, drivers, and what is not finished and why."""
    complete: bool
    """Whether nothing is missing."""
    rows: tuple[Mapping[str, Any], ...]
    """One for each cell, or for each setting of a sweep that has ended."""

    def __repr__(self) -> str:
        return self.text

    @property
    def cells(self) -> pd.DataFrame:
        """One row a cell: `variant`, `transfer`, `seed`, `key`, `state`, `progress`, `stage` and `error` of a failure.

        Of a sweep, one for each setting that has ended: `tune_trial`, `state`, `error`.
        """
        from scmmlab.api.frames import frame_of

        return frame_of(self.rows, self.rows[0] if self.rows else ("tune_trial", "state", "error"))

    def _repr_html_(self) -> str:
        from scmmlab.api.frames import preformatted

        return preformatted(self.text)


def status_of(plan: Plan, store: ResultStore) -> StatusView:
    """Where the cells of `plan` stand, or the settings of its sweep."""
    if plan.study.kind == "sweep":
        return _search_status(plan, store, search_records(plan, store))
    status = study_status(plan, store, ask_drivers=True)
    rows = tuple(
        {
            **_named(found.cell),
            "state": str(found.state),
            "progress": found.progress or None,
            "stage": found.failure.stage if found.failure else None,
            "error": found.failure.error if found.failure else None,
        }
        for found in status.cells
    )
    return StatusView(status.text(), status.complete, rows)


def _search_status(plan: Plan, store: ResultStore, records: list[TuneTrialRecord]) -> StatusView:
    assert plan.study.kind == "sweep"
    states = [record.state for record in records]
    counts = ", ".join(f"{states.count(state)} {state}" for state in ("complete", "pruned", "failed"))
    lines = [f"{plan.study.tune_trials} settings: {counts}, {plan.study.tune_trials - len(records)} missing"]
    lines += work_lines(plan, store)
    lines += [f"  failed   tune_trial {record.number}: {record.error}" for record in records if record.error]
    settled = sum(record.settled for record in records)
    rows = tuple({"tune_trial": record.number, "state": record.state, "error": record.error} for record in records)
    return StatusView("\n".join(lines) + "\n", settled >= plan.study.tune_trials, rows)


@dataclass(frozen=True, repr=False)
class Run:
    """What a run has come to; `str` of it is the table that ``scmmlab run`` prints."""

    summary: RunSummary
    """Cells (or settings) that were run, of the study or of its part."""
    report: Report | None = None
    """The report, where one was written."""
    tracked_at: str | None = None
    """The MLflow that it was recorded in."""
    find_page: Callable[[], str | None] | None = None
    """Asks that MLflow for the page of the study."""
    part: Shard | None = None
    """The part that was run; None for the whole."""
    left: str | None = None
    """Why a part did not finish the study, where it did not."""

    @property
    def complete(self) -> bool:
        """Whether every cell has a result."""
        return self.summary.complete

    @property
    def failures(self) -> tuple[str, ...]:
        """A line for each cell that came to nothing."""
        return self.summary.failures

    @property
    def mlflow(self) -> str | None:
        """Where people look at it in MLflow: the study's page on a server, else the database; None without MLflow."""
        return (self.find_page and self.find_page()) or self.tracked_at

    def __repr__(self) -> str:
        if self.report is not None:
            return summary_table(self.report.results)
        of = f"Part {self.part}: " if self.part else ""
        return f"{of}{self.summary.finished} of {self.summary.total} cells are finished."

    def _repr_html_(self) -> str:
        from scmmlab.api.frames import preformatted

        return preformatted("\n".join([str(self), *(f"failed: {failure}" for failure in self.failures)]))


@dataclass(frozen=True)
class Rerun:
    """A cell that was computed once more."""

    cell: Cell
    """The cell."""
    differences: tuple[Difference, ...]
    """One for each figure that came out otherwise."""


@dataclass(frozen=True)
class Synced:
    """What was written to MLflow."""

    tracked_at: str
    """Where."""
    counts: Mapping[str, int]
    """Number of cells or settings by state."""


def _named(cell: Cell) -> dict[str, Any]:
    return {"variant": cell.variant, "transfer": cell.transfer.name, "seed": cell.seed, "key": cell.key}
