"""The cells that a run has started and not ended, published in its claim on the study by a tracker of its own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scmmlab.study import Cell, LeaseHolder, TuneTrialRecord
from scmmlab.tracking import DataInput, Tracker


class ActiveCells(Tracker):
    """Publishes the active cells with the lease, and passes every call on to another tracker.

    Parameters
    ----------
    lease : LeaseHolder
        Publishes them.
    tracker : Tracker
        Gets every call.
    """

    def __init__(self, lease: LeaseHolder, tracker: Tracker):
        self._lease, self._tracker = lease, tracker
        self._cells: dict[str, Cell] = {}
        self._epochs: dict[str, str] = {}

    def start_study(self, name: str, spec: Mapping[str, Any], plan: str, versions: Mapping[str, str]) -> None:
        """Pass it on."""
        self._tracker.start_study(name, spec, plan, versions)

    def start_cell(self, cell: Cell, inputs: tuple[DataInput, ...]) -> None:
        """Add the cell."""
        self._cells[cell.key] = cell
        self._publish()
        self._tracker.start_cell(cell, inputs)

    def epoch(self, key: str, stage: str, epoch: int, metrics: Mapping[str, float]) -> None:
        """Update how far a cell has come, or the pre-training that cells start from."""
        self._epochs[key] = f"{stage.partition('-')[0]}, epoch {epoch}"
        self._publish()
        self._tracker.epoch(key, stage, epoch, metrics)

    def finish_cell(self, cell: Cell, inputs: tuple[DataInput, ...], record: Mapping[str, Any]) -> None:
        """Remove the cell."""
        self._end(cell)
        self._tracker.finish_cell(cell, inputs, record)

    def fail_cell(self, cell: Cell, inputs: tuple[DataInput, ...], error: str) -> None:
        """Remove the cell."""
        self._end(cell)
        self._tracker.fail_cell(cell, inputs, error)

    def finish_tune_trial(self, trial: TuneTrialRecord) -> None:
        """Pass it on."""
        self._tracker.finish_tune_trial(trial)

    def progress(self, finished: int, failed: int, total: int, slots_used: float | None = None) -> None:
        """Pass it on; a driver that has lost the lease finds out here, if no cell is active."""
        self._publish()
        self._tracker.progress(finished, failed, total, slots_used)

    def finish_study(self, report: Path | None, complete: bool) -> None:
        """Pass it on."""
        self._tracker.finish_study(report, complete)

    def close(self) -> None:
        """Pass it on."""
        self._tracker.close()

    def _end(self, cell: Cell) -> None:
        self._cells.pop(cell.key, None)
        self._epochs.pop(cell.key, None)
        self._publish()

    def _publish(self) -> None:
        self._lease.publish({key: self._progress(cell) for key, cell in self._cells.items()})

    def _progress(self, cell: Cell) -> str:
        # a cell's own epochs come after those of the pre-training that it starts from
        return self._epochs.get(cell.key) or self._epochs.get(cell.pretrain_key or "", "")
