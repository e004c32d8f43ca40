"""The engine that runs tasks one after the other in this process: the reference, and the one to debug with."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Set

import torch

from scmmlab.config import ResourcesSpec
from scmmlab.execution.checkpoint_pace import CHECKPOINT_S, CheckpointPace
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

    def cancel(self, key: str) -> None:
        """Have the training of `key` stopped."""
        self._cancelled.add(key)

    def step(self, emit: Emit, timeout_s: float) -> None:
        """Run the next task to its end."""
        if not self._queue:
            return
        task = self._queue.popleft()
        emit(TaskStarted(task.id, task.keys, "this process", attempt=1))
        started = time.monotonic()
        reporter = EmittingReporter(task, emit, self._cancelled, self._checkpoint_s)
        resources = self._resources
        outcomes = run_task(task, self._tables, reporter, self.device, resources.checkpoint_every, resources.pack_size)
        emit(TaskEnded(task.id, tuple(outcomes), time.monotonic() - started))


class EmittingReporter(Reporter):
    """Hands the news of a task on as events, and its earlier checkpoints back."""

    def __init__(self, task: Task, emit: Emit, cancelled: Set[str], checkpoint_s: float):
        self._checkpoints = dict(task.checkpoints)
        self._pace = CheckpointPace(checkpoint_s, time.monotonic())
        self._emit = emit
        self._cancelled = cancelled

    def epoch(self, key: str, stage: str, epoch: int, epochs: int, metrics: dict[str, float]) -> bool:
        """Emit an EpochEnded; False where that has led to a cancellation."""
        self._emit(EpochEnded(key, stage, epoch, epochs, metrics))
        return key not in self._cancelled

    def save_checkpoint(self, key: str, stage: str, data: bytes) -> None:
        """Keep the checkpoint, for a second go at the same training, and emit a CheckpointSaved where it is time."""
        self._checkpoints[key, stage] = data
        if self._pace.due(key, stage, time.monotonic()):
            self._emit(CheckpointSaved(key, stage, data))

    def load_checkpoint(self, key: str, stage: str) -> bytes | None:
        """The latest one."""
        return self._checkpoints.get((key, stage))
