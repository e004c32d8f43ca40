"""The engine that runs tasks one after the other in this process: the reference, and the one to debug with."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Hashable, Sequence, Set

import torch

from scmmlab.config import ResourcesSpec
from scmmlab.execution.checkpoint_pace import CHECKPOINT_S, CheckpointPace
from scmmlab.execution.engine import Engine, OnEvent
from scmmlab.execution.events import CheckpointSaved, EngineEvent, EpochEnded, SlotsUsed, TaskEnded, TaskStarted
from scmmlab.execution.run_sweep_tasks import SweepTaskRunner, slots_per_worker
from scmmlab.execution.run_task import run_task
from scmmlab.execution.task import Outcome, Task
from scmmlab.replica.replicas import keep_for_replicas
from scmmlab.training import Reporter
from scmmlab.training.data import Tables


class LocalEngine(Engine):
    """Runs tasks here, without Ray.

    Parameters
    ----------
    resources : ResourcesSpec
        Packs are trained on as many threads as `workers` would have on this machine, each of them at its own replicas;
        a replica that is alone has `cpus_per_worker`, as in a worker on Ray. The device is the GPU where there is one
        and `gpus_per_worker` is not 0, but for tasks that run on the CPU alone.
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
        self._sweep: SweepTaskRunner | None = None
        self._reporter = EmittingReporter(_ignore, self._cancelled, checkpoint_s)

    def open(self) -> None:
        """Set the number of threads, and choose the device."""
        self._threads_before = torch.get_num_threads()
        each, cores = max(1, int(self._resources.cpus_per_worker)), os.cpu_count() or 1
        torch.set_num_threads(each)
        keep_for_replicas(max(each, min(cores, each * (self._resources.most_workers or cores))))
        self.device = "cuda" if torch.cuda.is_available() and self._resources.gpus_per_worker != 0 else "cpu"

    def close(self) -> None:
        """Restore the number of threads."""
        self._queue.clear()
        self._sweep = None
        torch.set_num_threads(self._threads_before)
        keep_for_replicas(None)

    def submit(self, task: Task) -> None:
        """Queue `task`."""
        self._queue.append(task)

    def cancel(self, key: str) -> None:
        """Have the training of `key` stopped."""
        self._cancelled.add(key)

    def step(self, on_event: OnEvent, timeout_s: float) -> None:
        """Run the next task to its end, or one epoch of all settings of a sweep that are in slots."""
        if self._sweep is None and self._queue and self._queue[0].kind == "sweep":
            self._start_sweep(on_event)
        if self._sweep is not None:
            self._step_sweep(on_event)
        elif self._queue:
            self._run(self._start(on_event), on_event)

    def _run(self, task: Task, on_event: OnEvent) -> None:
        reporter = EmittingReporter(on_event, self._cancelled, self._checkpoint_s)
        reporter.add(task)
        resources = self._resources
        device = self.device_for(task.runs_on)
        outcomes = run_task(task, self._tables, reporter, device, resources.checkpoint_every, resources.pack_size)
        self._end(task, outcomes, on_event)

    def _start_sweep(self, on_event: OnEvent) -> None:
        resources = self._resources
        self._reporter = EmittingReporter(on_event, self._cancelled, self._checkpoint_s)
        first = self._start(on_event)
        self._reporter.add(first)
        device = self.device_for(first.runs_on)
        slots = slots_per_worker(device, resources.pack_size, self.useful_workers, workers=1)
        self._sweep = SweepTaskRunner(first, self._tables, self._reporter, device, resources.checkpoint_every, slots)

    def _step_sweep(self, on_event: OnEvent) -> None:
        def more(signature: Hashable, free: int) -> list[Task]:
            alike = [task for task in self._queue if task.signature == signature][:free]
            for task in alike:
                self._queue.remove(task)
                self._reporter.add(task)
                self._start(on_event, task)
            return alike

        assert self._sweep is not None
        self._reporter.on_event = on_event
        for task, outcomes in self._sweep.step(more):
            self._end(task, outcomes, on_event)
        if self._sweep.done:
            self._sweep = None

    def _start(self, on_event: OnEvent, task: Task | None = None) -> Task:
        task = task or self._queue.popleft()
        self._started[task.id] = time.monotonic()
        on_event(TaskStarted(task.id, task.keys, "this process", attempt=1))
        return task

    def _end(self, task: Task, outcomes: Sequence[Outcome], on_event: OnEvent) -> None:
        on_event(TaskEnded(task.id, tuple(outcomes), time.monotonic() - self._started.pop(task.id)))


class EmittingReporter(Reporter):
    """Turns reports into events, and returns earlier checkpoints."""

    def __init__(self, on_event: OnEvent, cancelled: Set[str], checkpoint_s: float):
        self.on_event = on_event
        """What gets the events."""
        self._checkpoints: dict[tuple[str, str], bytes] = {}
        self._pace = CheckpointPace(checkpoint_s, time.monotonic())
        self._cancelled = cancelled

    def add(self, task: Task) -> None:
        """A task is running."""
        self._checkpoints.update(task.checkpoints)

    def epoch(self, key: str, stage: str, epoch: int, epochs: int, metrics: dict[str, float]) -> bool:
        """Emit an EpochEnded; False where that has led to a cancellation."""
        self.on_event(EpochEnded(key, stage, epoch, epochs, metrics))
        return key not in self._cancelled

    def save_checkpoint(self, key: str, stage: str, data: bytes) -> None:
        """Keep the checkpoint, for a second go at the same training, and emit a CheckpointSaved where it is time."""
        self._checkpoints[key, stage] = data
        if self._pace.due(key, stage, time.monotonic()):
            self.on_event(CheckpointSaved(key, stage, data))

    def slots(self, used: int, there: int) -> None:
        """Emit a SlotsUsed."""
        self.on_event(SlotsUsed(used, there))

    def load_checkpoint(self, key: str, stage: str) -> bytes | None:
        """The latest one."""
        return self._checkpoints.get((key, stage))


def _ignore(event: EngineEvent) -> None:
    """Nobody listens yet."""
