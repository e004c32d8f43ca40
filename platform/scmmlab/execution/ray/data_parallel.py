"""The loop of workers that share the pre-training of a cell, with losses over the global batch."""

from __future__ import annotations

import uuid
from functools import cache
from typing import Any, NoReturn

import numpy as np
import ray.train
import ray.train.torch
import torch
from numpy.typing import NDArray
from ray.train.collective import broadcast_from_rank_zero

from scmmlab.execution.encoding import replace_missing_letters
from scmmlab.execution.engine import Interrupted, Preempted
from scmmlab.execution.ray.messages import BrokerHandle, TaskAssignment, WorkerInfo, get
from scmmlab.execution.ray.preemption import WorkerPreempted, preemption_notice
from scmmlab.execution.ray.reporter import StreamingReporter
from scmmlab.execution.ray.sharded_source import receive_source, source_name
from scmmlab.execution.ray.shared_tables import quiet_ray_data
from scmmlab.execution.ray.task_queue import WorkerId, group_name
from scmmlab.execution.ray.worker import ASK_S, NOTIFY_S, WorkerSettings, end_preempted, with_log, worker_info
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
    infos: list[WorkerInfo] = [WorkerInfo()] * together.workers
    torch.distributed.all_gather_object(infos, worker_info())
    if together.rank == 0:
        get(broker.register_worker.remote(me, _merged(infos)))
    preemption_notice.notify(lambda: get(broker.preempt.remote(me.name), timeout=NOTIFY_S))

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
        asked: TaskAssignment | None = None
        if together.rank == 0:
            asked = get(broker.take.remote(me, ASK_S, settings.takes))
        stop, preempted, task_id = broadcast_from_rank_zero(
            (asked.stop, asked.preempted, asked.task and asked.task.id) if asked else None
        )
        if stop:
            return
        if preempted:
            _end_preempted(together.rank, broker, me)
        if task_id is None:
            continue
        task: Task | None = asked.task if asked else get(broker.leased.remote(task_id))
        if task is None:
            # the lease has expired in between: rank 0 waits for the others in vain, and Train replaces all
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
            _end_preempted(together.rank, broker, me)
        if not leader.abandoned:
            get(broker.finish.remote(me, task.id, with_log(outcomes)))


def _merged(infos: list[WorkerInfo]) -> WorkerInfo:
    """Where all workers of a group run."""
    return WorkerInfo(
        nodes=tuple(node for info in infos for node in info.nodes),
        log=" and ".join(info.log for info in infos if info.log),
        kernel_kills=tuple(count for info in infos for count in info.kernel_kills),
    )


def _end_preempted(rank: int, broker: BrokerHandle, me: WorkerId) -> NoReturn:
    """End with the others; the first of them hands back what is not done."""
    if rank == 0:
        end_preempted(broker, me)
    raise WorkerPreempted(f"{me} received a preemption notice")


class FollowingReporter(Reporter):
    """The reporter of the other ranks: rank 0 reports, but any of them may be preempted."""

    @property
    def preempted(self) -> bool:
        """Whether this process has received a preemption notice."""
        return preemption_notice.received

    def end_preempted(self) -> None:
        """End what is being trained here.

        Raises
        ------
        Preempted
            Always.
        """
        raise Preempted


class LeadingReporter(Reporter):
    """The reporter of rank 0: work that is to be abandoned is stopped in order, as the others follow it.

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
    def preempted(self) -> bool:
        """Whether this process, or a node of the group, is being preempted."""
        return self._reporter.preempted

    def end_preempted(self) -> None:
        """Send the checkpoint, and end.

        Raises
        ------
        Preempted
            Always.
        """
        self._reporter.end_preempted()

    def save_checkpoint(self, key: str, stage: str, data: bytes) -> None:
        """Pass it on."""
        self._reporter.save_checkpoint(key, stage, data)

    def load_checkpoint(self, key: str, stage: str) -> bytes | None:
        """The broker's latest."""
        return self._reporter.load_checkpoint(key, stage)

    def close(self) -> None:
        """Send the rest."""
        self._reporter.close()
