"""The reporter of Ray's workers: a thread of its own sends progress to the broker, so that training never waits."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

import ray

from scmmlab.execution.checkpoint_pace import CheckpointPace
from scmmlab.execution.engine import Interrupted, Preempted
from scmmlab.execution.events import CheckpointSaved, EpochEnded, SlotsUsed
from scmmlab.execution.ray.messages import BrokerHandle, ReportReply, get
from scmmlab.execution.ray.preemption import preemption_notice
from scmmlab.execution.ray.task_queue import WorkerId
from scmmlab.execution.task import Task
from scmmlab.training import Reporter

FLUSH_S = 0.2
"""Progress is gathered for at least so long, so that an epoch of a millisecond costs no round trip."""
REPORTS_A_SECOND = 500
"""Of all workers together, at most: a broker answers about 1,250, and also hands out tasks."""
HEARTBEAT_S = 5.0
"""Without progress, a heartbeat is sent so often."""


def gathering_s(workers: int) -> float:
    """Seconds for which each of so many workers gathers its progress."""
    return max(FLUSH_S, workers / REPORTS_A_SECOND)


class StreamingReporter(Reporter):
    """Reports a worker's tasks to the broker.

    Parameters
    ----------
    broker : BrokerHandle
        The broker.
    worker : WorkerId
        Who reports.
    tasks : sequence of Task
        What is running.
    checkpoint_s : float
        See :class:`CheckpointPace`.
    gather_s : float
        Progress is gathered for so long.
    """

    def __init__(
        self, broker: BrokerHandle, worker: WorkerId, tasks: Sequence[Task], checkpoint_s: float, gather_s: float
    ):
        self._broker = broker
        self._worker = worker
        self._tasks = {task.id: task for task in tasks}
        self._gather_s = gather_s
        self._pace = CheckpointPace(checkpoint_s, time.monotonic())
        self._lock = threading.Lock()
        self._sending = threading.Lock()
        self._epochs: list[EpochEnded] = []
        self._checkpoints: dict[tuple[str, str], CheckpointSaved] = {}
        self._slots = SlotsUsed(0, 0)
        self._own: dict[tuple[str, str], bytes] = {}
        self._held_back: set[tuple[str, str]] = set()
        self._reply = ReportReply(abandon=False, cancelled=frozenset())
        self._has_progress = threading.Event()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._stream, name="scmmlab-reporter", daemon=True)
        self._thread.start()

    def add(self, tasks: Sequence[Task]) -> None:
        """More tasks are running."""
        with self._lock:
            self._tasks |= {task.id: task for task in tasks}

    def end(self, task: Task) -> None:
        """A task has ended: send what is known of it, and report it no longer."""
        self._send()
        with self._lock:
            self._tasks.pop(task.id, None)
            for name in [name for name in self._own if name[0] in task.keys]:
                del self._own[name]
                self._held_back.discard(name)

    def epoch(self, key: str, stage: str, epoch: int, epochs: int, metrics: dict[str, float]) -> bool:
        """Note the epoch; False where `key` has been cancelled by now, or is no longer this worker's.

        Raises
        ------
        Interrupted
            When none of the tasks is this worker's any more.
        """
        with self._lock:
            self._epochs.append(EpochEnded(key, stage, epoch, epochs, metrics))
        self._has_progress.set()
        reply = self._reply
        if reply.abandon:
            raise Interrupted
        return key not in reply.cancelled and not any(
            key in task.keys for name in reply.lost if (task := self._tasks.get(name))
        )

    def slots(self, used: int, there: int) -> None:
        """Count the slot-epochs."""
        with self._lock:
            self._slots = SlotsUsed(self._slots.used + used, self._slots.there + there)

    def save_checkpoint(self, key: str, stage: str, data: bytes) -> None:
        """Keep the checkpoint here, for a second attempt at the same training, and send it where it is due."""
        self._own[key, stage] = data
        if not self._pace.due(key, stage, time.monotonic()):
            self._held_back.add((key, stage))
            return
        with self._lock:
            self._held_back.discard((key, stage))
            self._checkpoints[key, stage] = CheckpointSaved(key, stage, data)
        self._has_progress.set()

    @property
    def preempted(self) -> bool:
        """Whether this process has received a preemption notice, or its node is being drained."""
        return preemption_notice.received or self._reply.preempted

    def end_preempted(self) -> None:
        """Send the latest checkpoints, including those that were held back.

        Raises
        ------
        Preempted
            Always.
        """
        with self._lock:
            for key, stage in self._held_back:
                self._checkpoints[key, stage] = CheckpointSaved(key, stage, self._own[key, stage])
            self._held_back.clear()
        self._send()
        raise Preempted

    def load_checkpoint(self, key: str, stage: str) -> bytes | None:
        """The latest one: of this worker, or that which the broker has of others."""
        if (key, stage) in self._own:
            return self._own[key, stage]
        return get(self._broker.load_checkpoint.remote(key, stage))

    def close(self) -> None:
        """Send the rest, and end the thread."""
        self._closed.set()
        self._has_progress.set()
        self._thread.join()

    def _stream(self) -> None:
        while not self._closed.is_set():
            if self._has_progress.wait(HEARTBEAT_S):
                self._closed.wait(self._gather_s)
            self._has_progress.clear()
            self._send()

    def _send(self) -> None:
        with self._sending:  # in the order in which it happened
            with self._lock:
                tasks = tuple(self._tasks)
                epochs, self._epochs = self._epochs, []
                checkpoints, self._checkpoints = list(self._checkpoints.values()), {}
                slots, self._slots = self._slots, SlotsUsed(0, 0)
            report = self._broker.report.remote(
                self._worker, tasks, epochs, checkpoints, slots if slots.there else None
            )
            try:
                self._reply = get(report)
            except ray.exceptions.RayError:
                # without a broker the work is lost; the worker loop's own call will say what happened
                self._reply = ReportReply(abandon=True, cancelled=frozenset())
