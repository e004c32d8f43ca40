"""The engine that runs tasks on the workers of a Ray cluster, or of a Ray of its own on this machine."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection
from contextlib import ExitStack
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
from scmmlab.execution.ray.resources import WorkerPlan, plan_workers_by_place
from scmmlab.execution.ray.session import ray_session
from scmmlab.execution.ray.sharded_source import share_source, source_name
from scmmlab.execution.ray.shared_tables import share_tables
from scmmlab.execution.ray.trainers import data_parallel_trainer, independent_trainer
from scmmlab.execution.ray.worker import WorkerSettings
from scmmlab.execution.ray.worker_groups import MakeTrainer, WorkerGroup
from scmmlab.execution.ray.worker_pool import WorkerPool
from scmmlab.execution.run_sweep_tasks import MakeSweepSlots, slots_per_worker
from scmmlab.execution.task import Task
from scmmlab.methods.contract import RunsOn
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
        self._plans: tuple[WorkerPlan, ...] = (WorkerPlan(1, 1.0, 0.0),)
        self._places_ended: set[RunsOn] = set()
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
        return pool.workers if pool is not None and pool.workers else sum(plan.workers for plan in self._plans)

    def workers_for(self, runs_on: RunsOn) -> int:
        """The same of those that take such tasks; 1 where there is no room for them yet."""
        there = self._pool.workers_for(runs_on) if self._pool is not None else 0
        return there or max([1, *(plan.workers for plan in self._plans if runs_on in plan.takes)])

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
        self._plans = plan_workers_by_place(
            self._resources, node_resources(), self.useful_workers, self.useful_by_place
        )
        self.device, self.separate = self._plans[0].device, len(self._plans) > 1

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

    def ended(self, runs_on: RunsOn) -> None:
        """No more such tasks will come: workers that take no others are ended."""
        self._places_ended.add(runs_on)
        if self._pool is not None:
            self._pool.ended(runs_on)

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
            self._plans,
            self._budget,
            self._resources.start_timeout_s,
            least=[max(each or 1, 1 if self._begun else plan.least) for plan in self._plans],
            together=each,
            interruption=self.interruption,
            head=self._head,
            logs=self.logs,
        )
        for place in self._places_ended:
            self._pool.ended(place)

    def _prepare_independent(self, broker: BrokerHandle) -> MakeTrainer:
        def make(plan: WorkerPlan, group: WorkerGroup) -> TorchTrainer:
            return independent_trainer(plan, self._settings(broker, plan), tables, self._folder, group)

        tables = share_tables(self._tables)
        return make

    def _prepare_data_parallel(self, broker: BrokerHandle) -> MakeTrainer:
        def make(plan: WorkerPlan, group: WorkerGroup) -> TorchTrainer:
            # sources of its own, as a data set can be split only once at a time
            sources = {source_name(*source): share_source(*source, workers=group.workers) for source in self._sources}
            settings = self._settings(broker, plan)
            return data_parallel_trainer(plan, settings, sources, fingerprints, self._folder, group)

        fingerprints = {location: read_manifest(location).fingerprint for location in self._tables}
        return make

    def _settings(self, broker: BrokerHandle, plan: WorkerPlan) -> WorkerSettings:
        return WorkerSettings(
            broker=broker,
            device=plan.device,
            takes=plan.takes,
            threads=plan.threads,
            checkpoint_every=self._resources.checkpoint_every,
            checkpoint_s=self._checkpoint_s,
            gather_s=gathering_s(sum(each.workers for each in self._plans)),
            pack_size=self._resources.pack_size,
            slots=slots_per_worker(plan.device, self._resources.pack_size, self.useful_workers, max(1, plan.workers)),
            make_sweep_slots=self._make_sweep_slots,
        )
