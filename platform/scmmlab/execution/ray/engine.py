"""The engine that runs tasks on the workers of a Ray cluster, or of a Ray of its own on this machine."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection
from contextlib import ExitStack
from functools import partial
from typing import Literal

import ray
from ray.train.torch import TorchTrainer

from scmmlab.config import CorpusSelection, ResourcesSpec
from scmmlab.execution.checkpoint_pace import CHECKPOINT_S
from scmmlab.execution.engine import Engine, OnEvent
from scmmlab.execution.own_folder import OwnFolder
from scmmlab.execution.ray.cluster_view import node_resources
from scmmlab.execution.ray.head_watch import HeadWatch
from scmmlab.execution.ray.loss_budget import LossBudget
from scmmlab.execution.ray.messages import BrokerHandle
from scmmlab.execution.ray.reporter import gathering_s
from scmmlab.execution.ray.resources import WorkerPlan, plan_workers
from scmmlab.execution.ray.session import ray_session
from scmmlab.execution.ray.sharded_source import share_source, source_name
from scmmlab.execution.ray.shared_tables import share_tables
from scmmlab.execution.ray.trainers import data_parallel_trainer, independent_trainer
from scmmlab.execution.ray.worker import WorkerSettings
from scmmlab.execution.ray.worker_groups import MakeTrainer, WorkerGroup
from scmmlab.execution.ray.worker_pool import WorkerPool
from scmmlab.execution.run_sweep_tasks import MakeSweepSlots, slots_per_worker
from scmmlab.execution.task import Task
from scmmlab.study.worker_losses import WorkerLosses
from scmmlab.tables import read_manifest
from scmmlab.training.sweep_stage import SweepSlots

PoolKind = Literal["independent", "data-parallel"]
"""Whether each worker trains on its own, or several share a cell."""


class RayEngine(Engine):
    """Runs tasks on Train's workers.

    Parameters
    ----------
    resources : ResourcesSpec
        What the study may use. With `workers_per_cell` above 1, encoders are pre-trained by several workers each, and
        the same resources fine-tune when all encoders are done.
    tables : collection of str
        Locations of all feature tables that tasks will ask for.
    sources : collection of (CorpusSelection, tuple of str)
        What encoders are pre-trained on, with the channels that the model sees; for data-parallel pre-training.
    num_cpus : int | None
        CPUs that a Ray of our own claims to have (for tests); those of the machine when None.
    object_store_memory : int | None
        See :func:`ray_session`.
    checkpoint_s : float
        Seconds between checkpoints of a training that leave its worker.
    make_sweep_slots : callable
        Makes what trains the settings of a sweep in a worker's slots.
    """

    def __init__(
        self,
        resources: ResourcesSpec,
        tables: Collection[str],
        sources: Collection[tuple[CorpusSelection, tuple[str, ...]]] = (),
        num_cpus: int | None = None,
        object_store_memory: int | None = None,
        checkpoint_s: float = CHECKPOINT_S,
        make_sweep_slots: MakeSweepSlots = SweepSlots,
    ):
        self._make_sweep_slots = make_sweep_slots
        self._resources = resources
        self._tables = tables
        self._sources = sources
        self._num_cpus = num_cpus
        self._object_store_memory = object_store_memory
        self._checkpoint_s = checkpoint_s
        self._stack = ExitStack()
        self._plan = WorkerPlan(1, 1.0, 0.0)
        self._begun = False
        self._folder = ""
        self._head: HeadWatch | None = None
        self._waiting: deque[Task] = deque()
        self._pool: WorkerPool | None = None
        self._pool_kind: PoolKind = "independent"
        self._budget = LossBudget(resources.max_failures, resources.max_preemptions)

    @property
    def workers(self) -> int:  # type: ignore[override]
        """Workers that there are, or will be once they are started."""
        pool = self._pool
        return pool.workers if pool is not None and pool.workers else self._plan.workers

    @property
    def losses(self) -> WorkerLosses:
        """Workers that this run has lost."""
        return self._budget.losses

    def open(self) -> None:
        """Join or start Ray, and check that it has what the study requests."""
        # Train wants a folder for checkpoints, though it gets none
        self._folder = self._stack.enter_context(OwnFolder("train"))
        self._stack.callback(self._stop_watching_head)  # after Ray's shutdown, which may hang on a lost head
        with self.interruption.at_once():
            session = self._stack.enter_context(
                ray_session(num_cpus=self._num_cpus, object_store_memory=self._object_store_memory)
            )
        self.logs = session.logs
        self._head = HeadWatch(ray.get_runtime_context().gcs_address, session.logs)
        self._head.start()
        self._plan = plan_workers(self._resources, node_resources(), self.useful_workers)
        self.device = self._plan.device

    def close(self) -> None:
        """Stop all workers and disconnect from Ray."""
        self._waiting.clear()
        if self._pool is not None:
            self._pool.stop()
            self._pool = None
        self._stack.close()

    def _stop_watching_head(self) -> None:
        if self._head is not None:
            self._head.stop()

    def submit(self, task: Task) -> None:
        """Queue `task`."""
        self._waiting.append(task)
        self._submit_waiting()

    def submit_followed(self, task: Task) -> None:
        """Queue a setting's task, whose training one of Tune's trials shows."""
        self._independent_pool().submit(task, followed=True)

    def cancel(self, key: str) -> None:
        """Have the training of `key` stopped."""
        if self._pool is not None:
            self._pool.cancel(key)

    def broker(self) -> BrokerHandle:
        """The broker of independent workers, for Tune's trials."""
        return self._independent_pool().broker

    def step(self, on_event: OnEvent, timeout_s: float) -> None:
        """Fetch what happened from the pool's broker."""
        if self._pool is None:
            return
        for event in self._pool.events(timeout_s):
            on_event(event)
        self._submit_waiting()

    def _submit_waiting(self) -> None:
        """Give the pool the tasks of its kind; when it has none left, a pool of the other kind replaces it."""
        while self._waiting:
            kind = self._kind(self._waiting[0])
            if self._pool is None or kind != self._pool_kind:
                if self._pool is not None and not self._pool.idle:
                    return
                self._replace_pool(kind)
            assert self._pool is not None
            self._pool.submit(self._waiting.popleft())

    def _kind(self, task: Task) -> PoolKind:
        return "data-parallel" if task.kind == "pretrain" and self._resources.workers_per_cell > 1 else "independent"

    def _independent_pool(self) -> WorkerPool:
        if self._pool is None:
            self._replace_pool("independent")
        assert self._pool is not None
        assert self._pool_kind == "independent", "a sweep has no data-parallel stage"
        return self._pool

    def _replace_pool(self, kind: PoolKind) -> None:
        assert self._head is not None, "the engine is open"
        if self._pool is not None:
            self._pool.stop()
            self._begun = self._begun or self._pool.begun
        self._pool_kind = kind
        each = self._resources.workers_per_cell if kind == "data-parallel" else None
        self._pool = WorkerPool(
            {"independent": self._prepare_independent, "data-parallel": self._prepare_data_parallel}[kind],
            self._plan,
            self._budget,
            self._resources.start_timeout_s,
            least=(each or 1) if self._begun else self._plan.least,
            together=each,
            interruption=self.interruption,
            head=self._head,
            logs=self.logs,
        )

    def _prepare_independent(self, broker: BrokerHandle) -> MakeTrainer:
        return partial(
            independent_trainer, self._plan, self._settings(broker), share_tables(self._tables), self._folder
        )

    def _prepare_data_parallel(self, broker: BrokerHandle) -> MakeTrainer:
        def make(group: WorkerGroup) -> TorchTrainer:
            # sources of its own, as a data set can be split only once at a time
            sources = {source_name(*source): share_source(*source, workers=group.workers) for source in self._sources}
            return data_parallel_trainer(self._plan, settings, sources, fingerprints, self._folder, group)

        settings = self._settings(broker)
        fingerprints = {location: read_manifest(location).fingerprint for location in self._tables}
        return make

    def _settings(self, broker: BrokerHandle) -> WorkerSettings:
        return WorkerSettings(
            broker=broker,
            device=self._plan.device,
            threads=self._plan.threads,
            checkpoint_every=self._resources.checkpoint_every,
            checkpoint_s=self._checkpoint_s,
            gather_s=gathering_s(self._plan.workers),
            pack_size=self._resources.pack_size,
            slots=slots_per_worker(
                self._plan.device, self._resources.pack_size, self.useful_workers, self._plan.workers
            ),
            make_sweep_slots=self._make_sweep_slots,
        )
