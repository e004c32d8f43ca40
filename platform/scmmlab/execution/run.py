"""What runs of ablations and sweeps share: their engine, its workers in the progress line, and interruption."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from scmmlab.execution.engine import Engine, Interrupted
from scmmlab.execution.events import (
    EngineEvent,
    TaskLost,
    TaskStarted,
    TasksWait,
    WorkerLost,
    WorkersAwaited,
    WorkersChanged,
)
from scmmlab.execution.interruption import Interruption, interruptible
from scmmlab.execution.progress import Progress
from scmmlab.methods.contract import RunsOn
from scmmlab.study import Plan, ResultStore
from scmmlab.study.worker_losses import WorkerLosses, keep_worker_losses


class StudyRun(ABC):
    """One run of what is missing of a study.

    Parameters
    ----------
    plan : Plan
        The study.
    store : ResultStore
        Finished results, and where new ones go.
    engine : Engine
        Not entered yet, and not entered at all where nothing is missing.
    progress : Progress
        Shows how far the run is.
    """

    def __init__(self, plan: Plan, store: ResultStore, engine: Engine, progress: Progress):
        self._store, self._engine, self._progress = store, engine, progress
        self._folder = store.study_folder(plan.study.name)
        self._interruption = Interruption()

    @contextmanager
    def _interruptible(self) -> Iterator[None]:
        """SIGINT and SIGTERM end the context as a KeyboardInterrupt; the progress line is closed with it."""
        with interruptible() as self._interruption:
            try:
                yield
            except Interrupted:
                raise KeyboardInterrupt from None
            finally:
                self._progress.close()

    @contextmanager
    def _entered_engine(self, useful_workers: int, by_place: Mapping[RunsOn, int]) -> Iterator[None]:
        """The engine with its resources; more workers than these would be idle."""
        self._engine.useful_workers, self._engine.useful_by_place = useful_workers, by_place
        self._engine.interruption = self._interruption
        self._progress.status("starting")
        keep_worker_losses(self._folder, WorkerLosses())
        with self._engine:
            self._progress.expect(self._engine.workers)
            yield

    def _on_event(self, event: EngineEvent) -> None:
        if isinstance(event, TaskStarted):
            self._progress.status("")
        self._on_task_event(event)
        match event:
            case TaskLost() | TasksWait() | WorkersChanged():
                self._progress.print(str(event))
            case WorkerLost():
                self._progress.lost(self._engine.losses.text())
                keep_worker_losses(self._folder, self._engine.losses)
            case WorkersAwaited():
                self._progress.status(str(event))
        self._check_interruption()

    @abstractmethod
    def _on_task_event(self, event: EngineEvent) -> None:
        """Handle what happened to a task."""

    def _check_interruption(self) -> None:
        if self._interruption.requested:
            raise Interrupted
