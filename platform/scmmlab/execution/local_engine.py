"""The engine that runs tasks one after the other in this process: the reference, and the one to debug with."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Hashable, Sequence, Set

import torch

from scmmlab.config import ResourcesSpec
from scmmlab.execution.checkpoint_pace import CHECKPOINT_S, CheckpointPace
from scmmlab.execution.engine import Emit, Engine
from scmmlab.execution.events import CheckpointSaved, EpochEnded, Event, SlotsUsed, TaskEnded, TaskStarted
from scmmlab.execution.run_task import run_task
from scmmlab.execution.sweep.slots import Slots, slots_of
from scmmlab.execution.task import Outcome, Tables, Task
from scmmlab.replica.replicas import keep_for_replicas
from scmmlab.training import Reporter


class LocalEngine(Engine):
    """Runs tasks here, without Ray.

    Parameters
    ----------
    resources : ResourcesSpec
        Packs are trained on as many threads as `workers` would have on this machine, each of them at its own replicas;
        a replica that is alone has `cpus_per_worker`, as in a worker of Ray's. The device is the GPU where there is one
        and `gpus_per_worker` is not 0.
    tables : callable
        Location → feature table.
    checkpoint_s : float
        Seconds between checkpoints of a training that are passed on.
    """

    def __init__(self, resources: ResourcesSpec, tables: Tables, checkpoint_s: float = CHECKPOINT_S):
        self._resources = resources
        self._checkpoint_s = checkpoint_s
        self._tables = tables
        self._queue: deque[Task] = deque()
        self._cancelled: set[str] = set()
        self._threads_before = torch.get_num_threads()
        self._started: dict[str, float] = {}
        self._slots: Slots | None = None
        self._reporter = EmittingReporter(_ignore, self._cancelled, checkpoint_s)

    def open(self) -> None:
        """Take the threads and the device."""
        self._threads_before = torch.get_num_threads()
        each, cores = max(1, int(self._resources.cpus_per_worker)), os.cpu_count() or 1
        torch.set_num_threads(each)
        keep_for_replicas(max(each, min(cores, each * (self._resources.most_workers or cores))))
        self.device = "cuda" if torch.cuda.is_available() and self._resources.gpus_per_worker != 0 else "cpu"

    def close(self) -> None:
        """Give the threads back."""
        self._queue.clear()
        self._slots = None
        torch.set_num_threads(self._threads_before)
        keep_for_replicas(None)

    def submit(self, task: Task) -> None:
        """Queue `task`."""
        self._queue.append(task)

    def cancel(self, key: str) -> None:
        """Have the training of `key` stopped."""
        self._cancelled.add(key)

    def step(self, emit: Emit, timeout_s: float) -> None:
        """Run the next task to its end, or all settings of a sweep that are here through an epoch."""
        if self._slots is None and self._queue and self._queue[0].kind == "sweep":
            self._open_slots(emit)
        if self._slots is not None:
            self._step_slots(emit)
        elif self._queue:
            self._run(self._start(emit), emit)

    def _run(self, task: Task, emit: Emit) -> None:
        reporter = EmittingReporter(emit, self._cancelled, self._checkpoint_s)
        reporter.add(task)
        resources = self._resources
        outcomes = run_task(task, self._tables, reporter, self.device, resources.checkpoint_every, resources.pack_size)
        self._end(task, outcomes, emit)

    def _open_slots(self, emit: Emit) -> None:
        resources = self._resources
        self._reporter = EmittingReporter(emit, self._cancelled, self._checkpoint_s)
        first = self._start(emit)
        self._reporter.add(first)
        slots = slots_of(self.device, resources.pack_size, self.useful_workers, workers=1)
        self._slots = Slots(first, self._tables, self._reporter, self.device, resources.checkpoint_every, slots)

    def _step_slots(self, emit: Emit) -> None:
        def more(fit: Hashable, free: int) -> list[Task]:
            alike = [task for task in self._queue if task.fit == fit][:free]
            for task in alike:
                self._queue.remove(task)
                self._reporter.add(task)
                self._start(emit, task)
            return alike

        assert self._slots is not None
        self._reporter.emit = emit
        for task, outcomes in self._slots.step(more):
            self._end(task, outcomes, emit)
        if self._slots.done:
            self._slots = None

    def _start(self, emit: Emit, task: Task | None = None) -> Task:
        task = task or self._queue.popleft()
        self._started[task.id] = time.monotonic()
        emit(TaskStarted(task.id, task.keys, "this process", attempt=1))
        return task

    def _end(self, task: Task, outcomes: Sequence[Outcome], emit: Emit) -> None:
        emit(TaskEnded(task.id, tuple(outcomes), time.monotonic() - self._started.pop(task.id)))


class EmittingReporter(Reporter):
    """Hands the news of tasks on as events, and their earlier checkpoints back."""

    def __init__(self, emit: Emit, cancelled: Set[str], checkpoint_s: float):
        self.emit = emit
        """Where news go."""
        self._checkpoints: dict[tuple[str, str], bytes] = {}
        self._pace = CheckpointPace(checkpoint_s, time.monotonic())
        self._cancelled = cancelled

    def add(self, task: Task) -> None:
        """A task is being run."""
        self._checkpoints.update(task.checkpoints)

    def epoch(self, key: str, stage: str, epoch: int, epochs: int, metrics: dict[str, float]) -> bool:
        """Emit an EpochEnded; False where that has led to a cancellation."""
        self.emit(EpochEnded(key, stage, epoch, epochs, metrics))
        return key not in self._cancelled

    def save_checkpoint(self, key: str, stage: str, data: bytes) -> None:
        """Keep the checkpoint, for a second go at the same training, and emit a CheckpointSaved where it is time."""
        self._checkpoints[key, stage] = data
        if self._pace.due(key, stage, time.monotonic()):
            self.emit(CheckpointSaved(key, stage, data))

    def slots(self, used: int, there: int) -> None:
        """Emit a SlotsUsed."""
        self.emit(SlotsUsed(used, there))

    def load_checkpoint(self, key: str, stage: str) -> bytes | None:
        """The latest one."""
        return self._checkpoints.get((key, stage))


def _ignore(event: Event) -> None:
    """Where nobody listens yet."""
