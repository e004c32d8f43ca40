"""The engine that runs tasks on the workers of a Ray cluster, or of a Ray of its own on this machine."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection
from contextlib import ExitStack
from functools import partial
from typing import Any, Literal

import ray
from ray.train.torch import TorchTrainer

from scmmlab.config import CorpusSelection, ResourcesSpec
from scmmlab.execution.checkpoint_pace import CHECKPOINT_S
from scmmlab.execution.engine import Emit, Engine
from scmmlab.execution.own_folder import OwnFolder
from scmmlab.execution.ray.cluster_view import machines
from scmmlab.execution.ray.head_watch import HeadWatch
from scmmlab.execution.ray.loss_budget import LossBudget
from scmmlab.execution.ray.reporter import gathering_s
from scmmlab.execution.ray.resources import WorkerPlan, plan_workers
from scmmlab.execution.ray.session import ray_session
from scmmlab.execution.ray.sharded_source import share_source, source_name
from scmmlab.execution.ray.shared_tables import share_tables
from scmmlab.execution.ray.trainers import data_parallel_trainer, gang_trainer
from scmmlab.execution.ray.worker import WorkerSettings
from scmmlab.execution.ray.worker_groups import Group, MakeTrainer
from scmmlab.execution.ray.worker_pool import Crew
from scmmlab.execution.sweep.slots import SweepStage, slots_of
from scmmlab.execution.task import Task
from scmmlab.tables import read_manifest
from scmmlab.training.sweep_stage import SweepSlots

CrewKind = Literal["gang", "data-parallel"]


class RayEngine(Engine):
    """Runs tasks on Train's workers.

    Parameters
    ----------
    resources : ResourcesSpec
        What the study may use. With `workers_per_cell` above 1, encoders are pre-trained by several workers each, and
        the same workers fine-tune by themselves when all encoders are done.
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
    sweep_stage : callable
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
        sweep_stage: SweepStage = SweepSlots,
    ):
        self._sweep_stage = sweep_stage
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
        self._crew: Crew | None = None
        self._crew_kind: CrewKind = "gang"
        self._budget = LossBudget(resources.max_failures, resources.max_preemptions)

    @property
    def workers(self) -> int:  # type: ignore[override]
        """Workers that there are, or will be when they are started."""
        crew = self._crew
        return crew.workers if crew is not None and crew.workers else self._plan.workers

    def open(self) -> None:
        """Join or start Ray, and see that it has what the study asks for."""
        # Train wants a folder for checkpoints, which we do not give it
        self._folder = self._stack.enter_context(OwnFolder("train"))
        self._stack.callback(self._watch_no_more)  # when Ray is left, not before: that waits for a lost head, too
        with self.interruption.at_once():
            session = self._stack.enter_context(
                ray_session(num_cpus=self._num_cpus, object_store_memory=self._object_store_memory)
            )
        self.logs = session.logs
        self._head = HeadWatch(ray.get_runtime_context().gcs_address, session.logs)
        self._head.start()
        self._plan = plan_workers(self._resources, machines(), self.useful_workers)
        self.device = self._plan.device

    def close(self) -> None:
        """Send the workers home and leave Ray."""
        self._waiting.clear()
        if self._crew is not None:
            self._crew.stop()
            self._crew = None
        self._stack.close()

    def _watch_no_more(self) -> None:
        if self._head is not None:
            self._head.stop()

    def submit(self, task: Task) -> None:
        """Queue `task`."""
        self._waiting.append(task)
        self._hand_on()

    def cancel(self, key: str) -> None:
        """Have the training of `key` stopped."""
        if self._crew is not None:
            self._crew.cancel(key)

    def broker(self) -> Any:
        """The broker of the gang, which is brought to life; for Tune's trials."""
        if self._crew is None:
            self._change_crew("gang")
        assert self._crew is not None
        return self._crew.broker

    def offer(self, follower: str, task: Task) -> None:
        """Hand a task to the broker that the tune_trial of that name follows."""
        assert self._crew is not None, "offers are made to a gang"
        self._crew.offer(follower, task)

    def step(self, emit: Emit, timeout_s: float) -> None:
        """Fetch what happened from the crew's broker."""
        if self._crew is None:
            return
        for event in self._crew.events(timeout_s):
            emit(event)
        self._hand_on()

    def _hand_on(self) -> None:
        """Give the crew the tasks that are for it; when it has no more, the other crew takes its place."""
        while self._waiting:
            kind = self._kind(self._waiting[0])
            if self._crew is None or kind != self._crew_kind:
                if self._crew is not None and not self._crew.idle:
                    return
                self._change_crew(kind)
            assert self._crew is not None
            self._crew.submit(self._waiting.popleft())

    def _kind(self, task: Task) -> CrewKind:
        return "data-parallel" if task.kind == "pretrain" and self._resources.workers_per_cell > 1 else "gang"

    def _change_crew(self, kind: CrewKind) -> None:
        if self._crew is not None:
            self._crew.stop()
            self._begun = self._begun or self._crew.begun
        self._crew_kind = kind
        assert self._head is not None, "the engine is open"
        each = self._resources.workers_per_cell if kind == "data-parallel" else None
        self._crew = Crew(
            {"gang": self._gang, "data-parallel": self._data_parallel}[kind],
            self._plan,
            self._budget,
            self._resources.start_timeout_s,
            least=(each or 1) if self._begun else self._plan.least,
            together=each,
            interruption=self.interruption,
            head=self._head,
            logs=self.logs,
        )

    def _gang(self, broker: Any) -> MakeTrainer:
        return partial(gang_trainer, self._plan, self._settings(broker), share_tables(self._tables), self._folder)

    def _data_parallel(self, broker: Any) -> MakeTrainer:
        def make(group: Group) -> TorchTrainer:
            # sources of its own, as a data set can be split once at a time
            sources = {source_name(*source): share_source(*source, workers=group.workers) for source in self._sources}
            return data_parallel_trainer(self._plan, settings, sources, fingerprints, self._folder, group)

        settings = self._settings(broker)
        fingerprints = {location: read_manifest(location).fingerprint for location in self._tables}
        return make

    def _settings(self, broker: Any) -> WorkerSettings:
        return WorkerSettings(
            broker=broker,
            device=self._plan.device,
            threads=self._plan.threads,
            checkpoint_every=self._resources.checkpoint_every,
            checkpoint_s=self._checkpoint_s,
            gather_s=gathering_s(self._plan.workers),
            pack_size=self._resources.pack_size,
            slots=slots_of(self._plan.device, self._resources.pack_size, self.useful_workers, self._plan.workers),
            sweep_stage=self._sweep_stage,
        )
