"""A tracker that remembers, for tests and for looking at a study from Python."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from scmmlab.tracking.base import TrackedCell, Tracker
from scmmlab.tracking.datasets import DatasetInfo

State = Literal["running", "finished", "failed"]


class MemoryTracker(Tracker):
    """Keeps what it is told, in plain attributes.

    Attributes
    ----------
    name, plan : str
        Of the study.
    versions : dict
        Of the software.
    cells : dict
        Cells by key.
    state : dict
        State of each cell by key: running, finished or failed.
    epochs : dict
        (key, stage) → epoch → figures; the keys are those that were told.
    records, errors : dict
        Records of finished cells and errors of failed ones, by key.
    datasets : dict
        What each cell reads, by key.
    complete : bool | None
        Whether the study ended complete; None while it has not ended.
    artifacts : Path | None
        Folder that the study ended with.
    closed : bool
        Whether it is closed.
    """

    def __init__(self) -> None:
        self.name = ""
        self.plan = ""
        self.versions: dict[str, str] = {}
        self.cells: dict[str, TrackedCell] = {}
        self.state: dict[str, State] = {}
        self.epochs: dict[tuple[str, str], dict[int, dict[str, float]]] = {}
        self.records: dict[str, dict[str, Any]] = {}
        self.errors: dict[str, str] = {}
        self.datasets: dict[str, tuple[DatasetInfo, ...]] = {}
        self.complete: bool | None = None
        self.artifacts: Path | None = None
        self.closed = False

    def start_study(self, name: str, description: str, plan: str, versions: Mapping[str, str]) -> None:
        """See `Tracker`."""
        self.name, self.plan, self.versions = name, plan, dict(versions)
        self.complete = None

    def start_cell(self, cell: TrackedCell, datasets: Sequence[DatasetInfo] = ()) -> None:
        """See `Tracker`."""
        self.cells[cell.key] = cell
        self.datasets[cell.key] = tuple(datasets)
        if self.state.get(cell.key) != "finished":
            self.state[cell.key] = "running"

    def epoch(self, key: str, stage: str, epoch: int, metrics: Mapping[str, float]) -> None:
        """See `Tracker`."""
        self.epochs.setdefault((key, stage), {})[epoch] = dict(metrics)

    def finish_cell(self, cell: TrackedCell, record: Mapping[str, Any]) -> None:
        """See `Tracker`."""
        self.cells[cell.key] = cell
        self.records[cell.key] = dict(record)
        self.errors.pop(cell.key, None)
        self.state[cell.key] = "finished"

    def fail_cell(self, cell: TrackedCell, error: str) -> None:
        """See `Tracker`."""
        self.cells[cell.key] = cell
        self.errors[cell.key] = error
        self.state[cell.key] = "failed"

    def finish_study(self, artifacts: Path | None = None, complete: bool = True) -> None:
        """See `Tracker`."""
        self.artifacts, self.complete = artifacts, complete

    def close(self) -> None:
        """See `Tracker`."""
        self.closed = True
