"""A run of an ablation: computes what the store lacks on an engine, and records the outcomes."""

from __future__ import annotations

from collections import Counter
from typing import Literal

from scmmlab.execution.engine import STEP_S, Engine
from scmmlab.execution.events import (
    CheckpointSaved,
    EngineEvent,
    EpochEnded,
    TaskEnded,
    TaskLost,
    TaskStarted,
)
from scmmlab.execution.grid.pack_sizes import PackSizes
from scmmlab.execution.grid.scheduler import Scheduler, StageState
from scmmlab.execution.grid.stages import GridStages
from scmmlab.execution.progress import MakeProgress, Progress
from scmmlab.execution.recorder import Recorder
from scmmlab.execution.run import StudyRun
from scmmlab.execution.summary import RunSummary
from scmmlab.execution.task import ANYWHERE, Outcome, Places, Task
from scmmlab.study import Plan, ResultStore, study_status
from scmmlab.tracking import Tracker
from scmmlab.training import StageFailure, StageOutput
from scmmlab.training.data import Tables


class GridRun(StudyRun):
    """One run of what is missing of an ablation.

    Parameters
    ----------
    plan : Plan
        The study.
    store : ResultStore
        Finished results, and where results go.
    engine : Engine
        Runs the tasks; not entered yet, and not entered at all where nothing is missing.
    tables : callable
        Location → feature table, for the evaluate stage, which runs here.
    tracker : Tracker
        Is notified of what happens.
    progress : Progress | None
        Shows it; one that `make_progress` makes when None.
    make_progress : callable
        By default the line on standard error.
    """

    def __init__(
        self,
        plan: Plan,
        store: ResultStore,
        engine: Engine,
        tables: Tables,
        tracker: Tracker,
        progress: Progress | None = None,
        make_progress: MakeProgress = Progress,
    ):
        self._grid = grid = GridStages(plan, study_status(plan, store).done)
        self._recorder = Recorder(plan, store, tracker, tables)
        self._resources = plan.study.resources
        shared = self._resources.workers_per_cell > 1
        self._sizes = PackSizes(grid, store.study_folder(plan.study.name), self._resources, engine)
        first: Literal["pretrain", "finetune"] = "pretrain" if shared else "finetune"
        self._scheduler = Scheduler(grid.stages(), grid.done, self._sizes.size, first)
        self._total = len(plan.cells)
        self._finished_before = sum(grid.duplicates[key] for key in grid.finished)
        progress = progress or make_progress(self._total, grid.work(), self._finished_before)
        super().__init__(plan, store, engine, progress)
        self._tasks: list[Task] = []
        self._ended: set[str] = set()
        self._running: set[str] = set()
        self._evaluated: Counter[bool] = Counter()

    def run(self) -> RunSummary:
        """Run what is missing.

        Raises
        ------
        KeyboardInterrupt
            After SIGINT or SIGTERM; everything is stored then, and the next run resumes.
        ScmmlabError
            When the store or the engine fails.
        """
        self._recorder.finished_before(self._grid.finished.values())
        with self._interruptible():
            self._evaluate_fine_tuned()
            if not self._scheduler.finished:
                self._run_stages()
        done, _, _ = self._counts()
        return RunSummary(
            total=self._total,
            finished=done,
            ran=done - self._finished_before,
            failures=tuple(self._recorder.failures.values()),
        )

    def _evaluate_fine_tuned(self) -> None:
        for key, output in self._recorder.stored_finetuning(self._grid.cells).items():
            cell = self._grid.cells[key]
            self._recorder.started([cell])
            self._finish_cell(key, self._recorder.evaluate(cell, output))

    def _run_stages(self) -> None:
        useful = {place: self._useful((place,)) for place in ANYWHERE if self._scheduler.unfinished(place)}
        with self._entered_engine(self._useful(ANYWHERE), useful):
            if self._engine.separate:
                self._progress.separate({stage.key: stage.runs_on for stage in self._grid.stages()})
                for place in ANYWHERE:
                    self._progress.expect(self._engine.workers_for(place), place)
            self._submit()
            while not self._scheduler.finished:
                self._check_interruption()
                self._engine.step(self._on_event, STEP_S)
                self._submit()

    def _useful(self, places: Places) -> int:
        """More workers than this would be idle, of those for what runs in these places."""
        counts = self._scheduler.counts_of(places)
        return max(counts[StageState.READY], counts[StageState.WAITING])

    def _submit(self) -> None:
        """Keep each worker's next task queued, so that none waits while a result is being written."""
        if not self._engine.separate:
            self._submit_for(ANYWHERE)
            return
        for place in ANYWHERE:
            if self._scheduler.unfinished(place):
                self._submit_for((place,))
            else:
                self._engine.ended(place)

    def _submit_for(self, places: Places) -> None:
        """The same of the workers for what runs in these places."""
        workers = self._engine.workers_for(places[0])
        while (queued := sum(task.runs_on in places for task in self._tasks)) < 2 * workers:
            upcoming = self._scheduler.upcoming(places)
            if upcoming is None or self._sizes.being_measured(upcoming):
                return
            if (probe := self._sizes.probe(upcoming)) is not None:
                self._submit_task(Task(probe.key, [probe], runs_on=upcoming.runs_on))
                return
            size = self._sizes.size(upcoming)
            stages = self._scheduler.next(workers, max(0, workers - queued), places)
            requests = []
            for stage in stages:
                request = self._grid.request(stage, self._store)
                if request is not None:
                    requests.append(request)
                else:
                    self._scheduler.lacks(stage.key)
            if requests:
                checkpoints = [self._grid.checkpoints(request, self._store) for request in requests]
                merged = {name: data for found in checkpoints for name, data in found.items()}
                for key, _ in merged:
                    self._progress.resume(key)
                name = f"{stages[0].kind}-{requests[0].key}"
                self._submit_task(Task(name, requests, merged, size, stages[0].runs_on))

    def _submit_task(self, task: Task) -> None:
        self._tasks.append(task)
        self._engine.submit(task)

    # --- what the engine reports

    def _on_task_event(self, event: EngineEvent) -> None:
        match event:
            case TaskStarted():
                for key in (key for key in event.keys if not self._sizes.is_probe(key)):
                    self._progress.begin(event.worker, key)
                    self._running.add(key)
                    self._recorder.started(self._grid.cells_of(key))
                self._show()
            case EpochEnded():
                self._recorder.epoch(event)
                self._progress.advance(event.key, event.epoch / event.epochs)
            case CheckpointSaved():
                self._recorder.checkpoint(event)
            case TaskLost():
                self._running.difference_update(event.keys)
                self._show()
            case TaskEnded():
                for outcome in event.outcomes:
                    if self._sizes.is_probe(outcome.key):
                        self._print(self._sizes.measured(outcome))
                    else:
                        self._handle_outcome(outcome)
                # a task may have been run in halves
                self._ended.update(outcome.key for outcome in event.outcomes)
                self._running.difference_update(self._ended)
                self._tasks = [task for task in self._tasks if not self._ended.issuperset(task.keys)]
                self._show()

    def _print(self, message: str | None) -> None:
        if message is not None:
            self._progress.print(message)

    def _handle_outcome(self, outcome: Outcome) -> None:
        if isinstance(outcome, StageOutput) and outcome.halved_to is not None:
            self._print(self._sizes.halved(self._scheduler.stage(outcome.key), outcome.halved_to))
        if isinstance(outcome, StageFailure):
            lost = self._scheduler.failed(outcome.key)
            cells = [self._grid.cells[key] for key in (outcome.key, *lost) if key in self._grid.cells]
            self._recorder.failed(outcome, cells)
            self._evaluated[False] += sum(self._grid.duplicates[cell.key] for cell in cells)
            for key in (outcome.key, *lost):
                self._progress.end(key)
        elif outcome.kind == "pretrain":
            self._recorder.pretrained(outcome)
            self._scheduler.done(outcome.key)
            self._progress.advance(outcome.key, 1.0)
        else:
            self._finish_cell(outcome.key, self._recorder.fine_tuned(self._grid.cells[outcome.key], outcome))

    def _finish_cell(self, key: str, evaluated: bool) -> None:
        self._evaluated[evaluated] += self._grid.duplicates[key]
        if evaluated:
            self._scheduler.done(key)
        else:
            self._scheduler.failed(key)
        self._progress.advance(key, 1.0)

    def _show(self) -> None:
        done, running, failed = self._counts()
        self._progress.counts(done, running, failed)
        self._recorder.progress(done, failed, self._total)

    def _counts(self) -> tuple[int, int, int]:
        """Cells done, running (a worker has them, or their pre-training) and failed."""
        cells = self._grid.cells
        running = sum(
            self._grid.duplicates[cell.key]
            for key in self._running
            for cell in self._grid.cells_of(key)
            if cell.key in cells
        )
        return self._finished_before + self._evaluated[True], running, self._evaluated[False]
