"""What a worker does that shares the pre-training of a cell with others, its losses being over the global batch."""

from __future__ import annotations

import uuid
from functools import cache
from typing import Any, NoReturn

import numpy as np
import ray
import ray.train
import ray.train.torch
import torch
from numpy.typing import NDArray
from ray.train.collective import broadcast_from_rank_zero

from scmmlab.execution.encoding import replace_missing_letters
from scmmlab.execution.engine import Interrupted, Preempted
from scmmlab.execution.ray.broker import Assignment, Place
from scmmlab.execution.ray.preemption import WorkerPreempted, departure
from scmmlab.execution.ray.reporter import StreamingReporter
from scmmlab.execution.ray.sharded_source import receive_source, source_name
from scmmlab.execution.ray.shared_tables import quiet_ray_data
from scmmlab.execution.ray.task_queue import WorkerId
from scmmlab.execution.ray.train_watch import group_name
from scmmlab.execution.ray.worker import ASK_S, TELL_S, WorkerSettings, preempted, this_place, with_log
from scmmlab.execution.task import Outcome, Task
from scmmlab.replica.collectives import TorchDistributed
from scmmlab.training import PretrainRequest, Reporter
from scmmlab.training.data_parallel import pretrain_data_parallel


def data_parallel_worker(config: dict[str, Any]) -> None:
    """The training function of a data-parallel ``TorchTrainer``.

    Parameters
    ----------
    config : dict
        ``settings`` (WorkerSettings), ``group`` (number of the trainer) and ``fingerprints`` (of tables, by location).
    """
    replace_missing_letters()
    settings: WorkerSettings = config["settings"]
    broker = settings.broker
    torch.set_num_threads(settings.threads)
    quiet_ray_data()
    device = str(ray.train.torch.get_device()) if settings.device == "cuda" else "cpu"
    together = TorchDistributed()
    me = WorkerId(group_name(config["group"]), uuid.uuid4().hex)
    places: list[Place] = [Place()] * together.workers
    torch.distributed.all_gather_object(places, this_place())
    if together.rank == 0:
        ray.get(broker.arrive.remote(me, _all(places)))
    departure.tell(lambda: ray.get(broker.going.remote(me.name), timeout=TELL_S))

    @cache
    def shard(name: str, channels: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        return receive_source(ray.train.get_dataset_shard(name), channels)

    def pretrain(request: PretrainRequest, reporter: Reporter) -> Outcome:
        rows, features = shard(source_name(request.source, request.channels), len(request.channels))
        fingerprint = config["fingerprints"][request.source.table]
        return pretrain_data_parallel(
            request, rows, features, fingerprint, together, reporter, device, settings.checkpoint_every
        )

    while True:
        # rank 0 asks for work, and the others do as it does
        asked: Assignment | None = ray.get(broker.take.remote(me, ASK_S)) if together.rank == 0 else None
        stop, leave, task_id = broadcast_from_rank_zero(
            (asked.stop, asked.leave, asked.task and asked.task.id) if asked else None
        )
        if stop:
            return
        if leave:
            _leave(together.rank, broker, me)
        if task_id is None:
            continue
        task: Task | None = asked.task if asked else ray.get(broker.leased.remote(task_id))
        if (
            task is None
        ):  # the lease has run out in between: rank 0 waits for the others in vain, and Train replaces all
            raise RuntimeError(f"{task_id} is no longer this group's")
        requests = [request for request in task.requests if isinstance(request, PretrainRequest)]
        try:
            if together.rank > 0:
                for request in requests:
                    pretrain(request, FollowingReporter())
                continue
            leader = LeadingReporter(StreamingReporter(broker, me, [task], settings.checkpoint_s, settings.gather_s))
            try:
                outcomes = [pretrain(request, leader) for request in requests]
            finally:
                leader.close()
        except Preempted:
            _leave(together.rank, broker, me)
        if not leader.abandoned:
            ray.get(broker.finish.remote(me, task.id, with_log(outcomes)))


def _all(places: list[Place]) -> Place:
    """The places of all workers of a group."""
    return Place(
        nodes=tuple(node for place in places for node in place.nodes),
        log=" and ".join(place.log for place in places if place.log),
        kernel_kills=tuple(count for place in places for count in place.kernel_kills),
    )


def _leave(rank: int, broker: Any, me: WorkerId) -> NoReturn:
    """End with the others, of whom the first hands back what is not done."""
    if rank == 0:
        preempted(broker, me)
    raise WorkerPreempted(f"{me} was told to go")


class FollowingReporter(Reporter):
    """The reporter of the other ranks: rank 0 reports, but any of them may be told to go."""

    @property
    def leaving(self) -> bool:
        """Whether this process has been told to go."""
        return departure.requested

    def leave(self) -> None:
        """End what is being trained here.

        Raises
        ------
        Preempted
            Always.
        """
        raise Preempted


class LeadingReporter(Reporter):
    """The reporter of rank 0: work that is to be abandoned is stopped in order, as the others wait for its word.

    Parameters
    ----------
    reporter : StreamingReporter
        Reports to the broker.
    """

    def __init__(self, reporter: StreamingReporter):
        self._reporter = reporter
        self.abandoned = False
        """Whether the work was stopped because it is no longer wanted."""

    def epoch(self, key: str, stage: str, epoch: int, epochs: int, metrics: dict[str, float]) -> bool:
        """Report; False where the work is to be abandoned."""
        try:
            return self._reporter.epoch(key, stage, epoch, epochs, metrics)
        except Interrupted:
            self.abandoned = True
            return False

    @property
    def leaving(self) -> bool:
        """Whether this process, or a machine of the group, has been told to go."""
        return self._reporter.leaving

    def leave(self) -> None:
        """Send the checkpoint, and end.

        Raises
        ------
        Preempted
            Always.
        """
        self._reporter.leave()

    def save_checkpoint(self, key: str, stage: str, data: bytes) -> None:
        """Pass it on."""
        self._reporter.save_checkpoint(key, stage, data)

    def load_checkpoint(self, key: str, stage: str) -> bytes | None:
        """The broker's latest."""
        return self._reporter.load_checkpoint(key, stage)

    def close(self) -> None:
        """Send what there is."""
        self._reporter.close()
