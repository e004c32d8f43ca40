"""The engine that runs tasks on the workers of a Ray cluster, or of a Ray of its own on this machine."""

from __future__ import annotations

import time
from collections.abc import Collection
from contextlib import ExitStack
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from scmmlab.config import ResourcesSpec
from scmmlab.errors import ResourceError
from scmmlab.execution.broker import Broker
from scmmlab.execution.engine import Emit, Engine
from scmmlab.execution.events import TaskEnded, TaskStarted
from scmmlab.execution.gang import Gang
from scmmlab.execution.ray_session import ray_session
from scmmlab.execution.shared_tables import share_tables
from scmmlab.execution.task import Task
from scmmlab.execution.worker_plan import WorkerPlan, plan_workers

START_TIMEOUT_S = 180.0
"""A gang that has not begun to work by then never will."""
STOP_TIMEOUT_S = 15.0
"""Workers that are told to stop are given so long."""


class RayEngine(Engine):
    """Runs tasks on the gang's workers, fed by the broker.

    Parameters
    ----------
    resources : ResourcesSpec
        What the study may use.
    tables : collection of str
        Locations of all feature tables that tasks will ask for.
    num_cpus : int | None
        CPUs that a Ray of our own claims to have (for tests); those of the machine when None.
    object_store_memory : int | None
        See :func:`ray_session`.
    """

    def __init__(
        self,
        resources: ResourcesSpec,
        tables: Collection[str],
        num_cpus: int | None = None,
        object_store_memory: int | None = None,
    ):
        self._resources = resources
        self._tables = tables
        self._num_cpus = num_cpus
        self._object_store_memory = object_store_memory
        self._stack = ExitStack()
        self._broker: Any = None
        self._gang: Gang | None = None
        self._plan = WorkerPlan(1, 1.0, 0.0)
        self._unfinished: set[str] = set()
        self._started_at = 0.0
        self._working = False

    def open(self) -> None:
        """Join or start Ray, and see that it has what the study asks for."""
        session = self._stack.enter_context(
            ray_session(num_cpus=self._num_cpus, object_store_memory=self._object_store_memory)
        )
        self.logs = session.logs
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        self._plan = plan_workers(self._resources, nodes, self.useful_workers)
        self.workers = self._plan.workers
        self.device = self._plan.device
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        self._broker = ray.remote(Broker).options(num_cpus=0, scheduling_strategy=here).remote()

    def close(self) -> None:
        """Send the workers home and leave Ray."""
        if self._gang is not None and self._gang.running:
            ray.get(self._broker.stop.remote(abort=bool(self._unfinished)), timeout=STOP_TIMEOUT_S)
            self._gang.join(STOP_TIMEOUT_S)
        if self._broker is not None:
            ray.kill(self._broker)
            self._broker = None
        self._stack.close()

    def submit(self, task: Task) -> None:
        """Hand `task` to the broker; the first one brings the gang to life."""
        self._unfinished.update(task.keys)
        ray.get(self._broker.submit.remote([task]))
        if self._gang is None:
            self._start_gang()

    def step(self, emit: Emit, timeout_s: float) -> None:
        """Fetch what happened from the broker."""
        for event in ray.get(self._broker.events.remote(timeout_s)):
            if isinstance(event, TaskStarted):
                self._working = True
            elif isinstance(event, TaskEnded):
                self._unfinished.difference_update(outcome.key for outcome in event.outcomes)
            emit(event)
        if self._unfinished:
            self._check_gang()

    def _start_gang(self) -> None:
        resources = self._resources
        tables = share_tables(self._tables)
        self._gang = Gang(self._broker, self._plan, tables, resources.checkpoint_every, resources.max_failures)
        self._started_at = time.monotonic()
        self._gang.start()

    def _check_gang(self) -> None:
        gang = self._gang
        assert gang is not None
        if not gang.running:
            allowed = self._resources.max_failures
            raise ResourceError(
                f"The workers were lost more often than resources.max_failures ({allowed}) allows, the last time "
                f"by: {_root_cause(gang.error)}",
                hint=f"what is finished is kept, and the same command goes on from here; Ray's logs are in {self.logs}",
            ) from gang.error
        if not self._working and time.monotonic() - self._started_at > START_TIMEOUT_S:
            free = ray.available_resources()
            have = ", ".join(f"{free.get(name, 0.0):g} {name}" for name in self._plan.resources_per_worker)
            raise ResourceError(
                f"No worker has started within {START_TIMEOUT_S:g} s: {self._plan.workers} workers with "
                f"{self._plan.resources_per_worker} each were asked for, and the cluster has {have} free.",
                hint=f"wait until others have finished, or ask for less; Ray's logs are in {self.logs}",
            )


def _root_cause(error: BaseException | None) -> str:
    """The last line of what a trainer died of."""
    lines = [line.strip() for line in f"{error}".splitlines() if line.strip()]
    return lines[-1] if lines else "no error was given"
