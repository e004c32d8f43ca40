"""A tracker in memory, for tests and notebooks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scmmlab.study import Cell, TuneTrialRecord
from scmmlab.tracking.tracker import DataInput, Tracker


class MemoryTracker(Tracker):
    """Keeps the latest that it was shown of each cell.

    Attributes
    ----------
    states : dict
        (variant, transfer, seed) → ``running``, ``finished`` or ``failed``.
    records, errors : dict
        The same keys → record of the finished, error of the failed.
    epochs : dict
        (key, stage) → epoch → figures, by the keys that were given.
    tune_trials : dict
        Number → TuneTrialRecord.
    """

    def __init__(self) -> None:
        self.name: str | None = None
        self.spec: Mapping[str, Any] = {}
        self.plan = ""
        self.versions: Mapping[str, str] = {}
        self.states: dict[tuple[str, str, int], str] = {}
        self.records: dict[tuple[str, str, int], Mapping[str, Any]] = {}
        self.errors: dict[tuple[str, str, int], str] = {}
        self.inputs: dict[tuple[str, str, int], tuple[DataInput, ...]] = {}
        self.epochs: dict[tuple[str, str], dict[int, Mapping[str, float]]] = {}
        self.tune_trials: dict[int, TuneTrialRecord] = {}
        self.counts = (0, 0, 0)
        self.slots_used: float | None = None
        self.report: Path | None = None
        self.complete: bool | None = None

    def start_study(self, name: str, spec: Mapping[str, Any], plan: str, versions: Mapping[str, str]) -> None:
        """Remember the study."""
        self.name, self.spec, self.plan, self.versions = name, spec, plan, versions

    def start_cell(self, cell: Cell, inputs: tuple[DataInput, ...]) -> None:
        """Remember that it runs."""
        if self.states.get(_name(cell)) != "finished":
            self.states[_name(cell)] = "running"
        self.inputs[_name(cell)] = inputs

    def epoch(self, key: str, stage: str, epoch: int, metrics: Mapping[str, float]) -> None:
        """Remember its figures."""
        self.epochs.setdefault((key, stage), {})[epoch] = dict(metrics)

    def finish_cell(self, cell: Cell, inputs: tuple[DataInput, ...], record: Mapping[str, Any]) -> None:
        """Remember its record."""
        self.states[_name(cell)] = "finished"
        self.inputs[_name(cell)] = inputs
        self.records[_name(cell)] = record
        self.errors.pop(_name(cell), None)

    def fail_cell(self, cell: Cell, inputs: tuple[DataInput, ...], error: str) -> None:
        """Remember its error."""
        self.states[_name(cell)] = "failed"
        self.inputs[_name(cell)] = inputs
        self.errors[_name(cell)] = error

    def finish_tune_trial(self, trial: TuneTrialRecord) -> None:
        """Remember it."""
        self.tune_trials[trial.number] = trial

    def progress(self, finished: int, failed: int, total: int, slots_used: float | None = None) -> None:
        """Remember the counts."""
        self.counts = (finished, failed, total)
        self.slots_used = slots_used

    def finish_study(self, report: Path | None, complete: bool) -> None:
        """Remember the end."""
        self.report, self.complete = report, complete


def _name(cell: Cell) -> tuple[str, str, int]:
    return cell.variant, cell.transfer.name, cell.seed
