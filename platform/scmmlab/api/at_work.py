"""What a run is at work on, for its claim on the study: heard where a tracker hears it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scmmlab.study import Driver
from scmmlab.tracking import DataInput, TrackedCell, Tracker, TuneTrialRecord


class AtWork(Tracker):
    """Tells the study's driver which cells are begun and not ended, and hands everything on.

    Parameters
    ----------
    driver : Driver
        Publishes it.
    tracker : Tracker
        Is told everything.
    """

    def __init__(self, driver: Driver, tracker: Tracker):
        self._driver, self._tracker = driver, tracker
        self._cells: dict[str, TrackedCell] = {}
        self._epochs: dict[str, str] = {}

    def start_study(self, name: str, spec: Mapping[str, Any], plan: str, versions: Mapping[str, str]) -> None:
        """Hand it on."""
        self._tracker.start_study(name, spec, plan, versions)

    def start_cell(self, cell: TrackedCell, inputs: tuple[DataInput, ...]) -> None:
        """Note that the cell is begun."""
        self._cells[cell.key] = cell
        self._publish()
        self._tracker.start_cell(cell, inputs)

    def epoch(self, key: str, stage: str, epoch: int, metrics: Mapping[str, float]) -> None:
        """Note how far a cell is, or the pre-training that cells start from."""
        self._epochs[key] = f"{stage.partition('-')[0]}, epoch {epoch}"
        self._publish()
        self._tracker.epoch(key, stage, epoch, metrics)

    def finish_cell(self, cell: TrackedCell, inputs: tuple[DataInput, ...], record: Mapping[str, Any]) -> None:
        """Note that the cell has ended."""
        self._end(cell)
        self._tracker.finish_cell(cell, inputs, record)

    def fail_cell(self, cell: TrackedCell, inputs: tuple[DataInput, ...], error: str) -> None:
        """Note that the cell has ended."""
        self._end(cell)
        self._tracker.fail_cell(cell, inputs, error)

    def finish_tune_trial(self, trial: TuneTrialRecord) -> None:
        """Hand it on."""
        self._tracker.finish_tune_trial(trial)

    def progress(self, finished: int, failed: int, total: int, slots_used: float | None = None) -> None:
        """Hand it on; a driver that has lost the study hears of it here, if no cell is at work."""
        self._publish()
        self._tracker.progress(finished, failed, total, slots_used)

    def finish_study(self, report: Path | None, complete: bool) -> None:
        """Hand it on."""
        self._tracker.finish_study(report, complete)

    def close(self) -> None:
        """Hand it on."""
        self._tracker.close()

    def _end(self, cell: TrackedCell) -> None:
        self._cells.pop(cell.key, None)
        self._epochs.pop(cell.key, None)
        self._publish()

    def _publish(self) -> None:
        self._driver.at_work({key: self._progress(cell) for key, cell in self._cells.items()})

    def _progress(self, cell: TrackedCell) -> str:
        # a cell's own epochs come after those of the pre-training that it starts from
        return self._epochs.get(cell.key) or self._epochs.get(cell.pretrain_key or "", "")
