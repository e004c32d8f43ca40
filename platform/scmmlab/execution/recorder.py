"""The one place that writes results, and that decides that a cell is finished.

Outcomes go to the store, which is the truth, and then to the tracker, which shows it. A cell is finished once it is
evaluated and its record is in the store.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterable, Mapping, Sequence

from scmmlab.execution.events import CheckpointSaved, EpochEnded
from scmmlab.study import Cell, Plan, ResultStore, cell_request
from scmmlab.study.objects import Record
from scmmlab.tracking import DataInput, Tracker, data_inputs
from scmmlab.training import StageFailure, StageOutput
from scmmlab.training.data import Tables
from scmmlab.training.failure_cause import describe, failure_cause
from scmmlab.training.stages import run_evaluate_stage


class Recorder:
    """Stores the outcomes of an ablation's run, and evaluates its cells.

    Parameters
    ----------
    plan : Plan
        The study.
    store : ResultStore
        Where results go.
    tracker : Tracker
        Is notified of what the store has.
    tables : callable
        Location → feature table, for the evaluate stage.
    """

    def __init__(self, plan: Plan, store: ResultStore, tracker: Tracker, tables: Tables):
        self._plan, self._store, self._tracker, self._tables = plan, store, tracker, tables
        self._started: set[str] = set()
        # variants that differ only in settings without effect are one cell to the store, and two to people
        self._duplicates: dict[str, list[Cell]] = {}
        for cell in plan.cells:
            self._duplicates.setdefault(cell.key, []).append(cell)
        self.failures: dict[str, str] = {}
        """Of this run: a line for each failed cell, by its name."""

    def finished_before(self, cells: Iterable[Cell]) -> None:
        """Show what earlier runs have finished; a tracker may know it already."""
        for cell in cells:
            record = self._store.get_cell(cell.key)
            if record is not None:
                self.started([cell])
                self._notify_finished(cell, record)

    def started(self, cells: Iterable[Cell]) -> None:
        """Work on `cells` has started, if it had not before."""
        for cell in cells:
            if cell.key not in self._started:
                self._started.add(cell.key)
                for duplicate in self._duplicates[cell.key]:
                    self._tracker.start_cell(duplicate, self._inputs(duplicate))

    def epoch(self, event: EpochEnded) -> None:
        """An epoch of a cell, or of a pre-training, has ended."""
        self._tracker.epoch(event.key, event.stage, event.epoch, event.metrics)

    def checkpoint(self, event: CheckpointSaved) -> None:
        """A training can resume from here if this run ends before it does."""
        self._store.save_checkpoint(event.key, event.stage, event.data)

    def pretrained(self, output: StageOutput) -> None:
        """An encoder is finished."""
        self._store.put_pretrain(output.key, output.record, output.tensors)

    def fine_tuned(self, cell: Cell, output: StageOutput) -> bool:
        """A cell is fine-tuned: store that, then open its test labels, once and after every choice is made.

        Returns
        -------
        bool
            Whether it could be evaluated; if not, the failure is recorded.
        """
        self._store.put_finetune(cell.key, output.record, output.tensors)
        return self.evaluate(cell, output)

    def evaluate(self, cell: Cell, finetuned: StageOutput) -> bool:
        """Evaluate a cell whose fine-tuning is in the store; as :meth:`fine_tuned`."""
        # the evaluate stage does not use the encoder, whose absence would say that there is no pre-training
        request = cell_request(cell, None if cell.pretrain_key is None else {})
        try:
            output = run_evaluate_stage(request, finetuned, self._tables)
        except Exception as error:
            trace = "".join(traceback.format_exception(error))
            cause = failure_cause(error)
            self.failed(StageFailure(cell.key, "evaluate", describe(error), trace, cause), [cell])
            return False
        self._store.put_cell(cell.key, output.record)
        self._notify_finished(cell, output.record)
        return True

    def failed(self, failure: StageFailure, cells: Sequence[Cell]) -> None:
        """A stage has failed, and `cells` with it."""
        self._store.put_failure(failure.key, failure.kind, failure.error, failure.traceback, failure.cause, failure.log)
        for cell in cells:
            for duplicate in self._duplicates[cell.key]:
                self.failures[duplicate.name] = f"{duplicate.name} ({failure.kind}): {failure.error}"
                self._tracker.fail_cell(duplicate, self._inputs(duplicate), f"{failure.kind}: {failure.error}")

    def progress(self, finished: int, failed: int, total: int) -> None:
        """How many cells have ended."""
        self._tracker.progress(finished, failed, total)

    def stored_finetuning(self, keys: Iterable[str]) -> Mapping[str, StageOutput]:
        """Of `keys`, the cells whose fine-tuning an earlier run has stored without evaluating them."""
        stored = {}
        for key in sorted(self._store.keys("finetune") & set(keys)):
            found = self._store.get_finetune(key)
            if found is not None:
                stored[key] = StageOutput(key, "finetune", found.record, found.tensors)
        return stored

    def _notify_finished(self, cell: Cell, record: Record) -> None:
        for duplicate in self._duplicates[cell.key]:
            self._tracker.finish_cell(duplicate, self._inputs(duplicate), record)

    def _inputs(self, cell: Cell) -> tuple[DataInput, ...]:
        return data_inputs(cell, self._plan.source(cell.transfer), self._plan.target(cell.transfer))
