"""What a worker of the gang does: ask the broker for a task, run it, stream its news back, and ask again."""

from __future__ import annotations

import threading
import uuid
from typing import Any

import ray
import ray.train
import torch

from scmmlab.execution.broker import Assignment, Orders
from scmmlab.execution.engine import Interrupted
from scmmlab.execution.events import CheckpointSaved, EpochEnded
from scmmlab.execution.leases import WorkerId
from scmmlab.execution.run_task import run_task
from scmmlab.execution.shared_tables import quiet_ray_data, receive_tables
from scmmlab.execution.task import Task
from scmmlab.training import Reporter

ASK_S = 10.0
"""A question for work waits so long for an answer before it is put again."""
FLUSH_S = 0.2
"""News are gathered for so long, so that an epoch of a millisecond costs no round trip."""
BEAT_S = 5.0
"""Without news, a sign of life is sent so often."""


def gang_worker(config: dict[str, Any]) -> None:
    """The training function of the gang's ``TorchTrainer``.

    Parameters
    ----------
    config : dict
        ``broker`` (the actor), ``tables`` (from ``share_tables``), ``device``, ``threads`` and ``checkpoint_every``.
    """
    # this function runs in a thread of its own, and OpenMP counts threads by thread: here, not at the process's start
    torch.set_num_threads(config["threads"])
    quiet_ray_data()
    broker = config["broker"]
    me = WorkerId(ray.train.get_context().get_world_rank(), uuid.uuid4().hex)
    tables = receive_tables(config["tables"])
    while True:
        assignment: Assignment = ray.get(broker.take.remote(me, ASK_S))
        if assignment.stop:
            return
        if assignment.task is None:
            continue
        task = assignment.task
        reporter = StreamingReporter(broker, me, task)
        try:
            outcomes = run_task(task, tables, reporter, config["device"], config["checkpoint_every"])
            reporter.close()
        except Interrupted:
            reporter.close()
            continue
        ray.get(broker.finish.remote(me, task.id, outcomes))


class StreamingReporter(Reporter):
    """Sends the news of a task to the broker from a thread of its own, so that training never waits for it.

    Parameters
    ----------
    broker : ActorHandle
        The broker.
    worker : WorkerId
        Who reports.
    task : Task
        What is being run.
    """

    def __init__(self, broker: Any, worker: WorkerId, task: Task):
        self._broker = broker
        self._worker = worker
        self._task = task
        self._lock = threading.Lock()
        self._epochs: list[EpochEnded] = []
        self._checkpoints: dict[tuple[str, str], CheckpointSaved] = {}
        self._orders = Orders(abandon=False, cancelled=frozenset())
        self._news = threading.Event()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._stream, name="scmmlab-reporter", daemon=True)
        self._thread.start()

    def epoch(self, key: str, stage: str, epoch: int, epochs: int, metrics: dict[str, float]) -> bool:
        """Note the epoch; False where `key` has been cancelled by now.

        Raises
        ------
        Interrupted
            When the task is no longer this worker's.
        """
        with self._lock:
            self._epochs.append(EpochEnded(key, stage, epoch, epochs, metrics))
        self._news.set()
        if self._orders.abandon:
            raise Interrupted
        return key not in self._orders.cancelled

    def save_checkpoint(self, key: str, stage: str, data: bytes) -> None:
        """Send the checkpoint off; one that was not sent yet is replaced."""
        with self._lock:
            self._checkpoints[key, stage] = CheckpointSaved(key, stage, data)
        self._news.set()

    def load_checkpoint(self, key: str, stage: str) -> bytes | None:
        """The broker's latest one, or one that is still to be sent."""
        with self._lock:
            if (key, stage) in self._checkpoints:
                return self._checkpoints[key, stage].data
        data: bytes | None = ray.get(self._broker.load_checkpoint.remote(key, stage))
        return data

    def close(self) -> None:
        """Send what there is, and end the thread."""
        self._closed.set()
        self._news.set()
        self._thread.join()

    def _stream(self) -> None:
        while not self._closed.is_set():
            if self._news.wait(BEAT_S):
                self._closed.wait(FLUSH_S)
            self._news.clear()
            self._send()

    def _send(self) -> None:
        with self._lock:
            epochs, self._epochs = self._epochs, []
            checkpoints, self._checkpoints = list(self._checkpoints.values()), {}
        try:
            self._orders = ray.get(self._broker.report.remote(self._worker, self._task.id, epochs, checkpoints))
        except ray.exceptions.RayError:
            # without a broker the work is for nothing; the loop's own call will say what happened
            self._orders = Orders(abandon=True, cancelled=frozenset())
