"""The engine that runs tasks one after the other in this process: the reference, and the one to debug with."""

from __future__ import annotations

import time
from collections import deque

import torch

from scmmlab.config import ResourcesSpec
from scmmlab.execution.engine import Emit, Engine
from scmmlab.execution.events import CheckpointSaved, EpochEnded, TaskEnded, TaskStarted
from scmmlab.execution.run_task import run_task
from scmmlab.execution.task import Tables, Task
from scmmlab.training import Reporter


class LocalEngine(Engine):
    """Runs tasks here, without Ray.

    Parameters
    ----------
    resources : ResourcesSpec
        Threads are `cpus_per_worker`, so that sums add up in the same order as in a worker of Ray's; the device is the
        GPU where there is one and `gpus_per_worker` is not 0.
    tables : callable
        Location → feature table.
    """

    def __init__(self, resources: ResourcesSpec, tables: Tables):
        self._resources = resources
        self._tables = tables
        self._queue: deque[Task] = deque()
        self._threads_before = torch.get_num_threads()

    def open(self) -> None:
        """Take the threads and the device."""
        self._threads_before = torch.get_num_threads()
        torch.set_num_threads(max(1, int(self._resources.cpus_per_worker)))
        self.device = "cuda" if torch.cuda.is_available() and self._resources.gpus_per_worker != 0 else "cpu"

    def close(self) -> None:
        """Give the threads back."""
        self._queue.clear()
        torch.set_num_threads(self._threads_before)

    def submit(self, task: Task) -> None:
        """Queue `task`."""
        self._queue.append(task)

    def step(self, emit: Emit, timeout_s: float) -> None:
        """Run the next task to its end."""
        if not self._queue:
            return
        task = self._queue.popleft()
        emit(TaskStarted(task.id, task.keys, "this process", attempt=1))
        started = time.monotonic()
        reporter = EmittingReporter(task, emit)
        outcomes = run_task(task, self._tables, reporter, self.device, self._resources.checkpoint_every)
        emit(TaskEnded(task.id, tuple(outcomes), time.monotonic() - started))


class EmittingReporter(Reporter):
    """Hands the news of a task on as events, and its earlier checkpoints back."""

    def __init__(self, task: Task, emit: Emit):
        self._checkpoints = dict(task.checkpoints)
        self._emit = emit

    def epoch(self, key: str, stage: str, epoch: int, epochs: int, metrics: dict[str, float]) -> bool:
        """Emit an EpochEnded."""
        self._emit(EpochEnded(key, stage, epoch, epochs, metrics))
        return True

    def save_checkpoint(self, key: str, stage: str, data: bytes) -> None:
        """Emit a CheckpointSaved, and keep it for a second go at the same training."""
        self._checkpoints[key, stage] = data
        self._emit(CheckpointSaved(key, stage, data))

    def load_checkpoint(self, key: str, stage: str) -> bytes | None:
        """The latest one."""
        return self._checkpoints.get((key, stage))
