"""Which workers are alive, preempted, retired or lost with their nodes. Pure: time is an argument."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from scmmlab.execution.ray.messages import WorkerCount, WorkerInfo
from scmmlab.execution.ray.task_queue import WorkerId


@dataclass
class Worker:
    """A worker that is alive."""

    id: WorkerId
    info: WorkerInfo
    heartbeat: float
    """When it last called."""
    ready: bool = False
    """Whether it has asked for a task; one that still reads its tables does not call."""
    notified: bool = False
    """Whether its process has received a preemption notice."""
    loss_reported: bool = False
    """Whether the driver knows of its loss."""


@dataclass(frozen=True)
class _UnexplainedDeath:
    """A worker died on a node that does not answer: Ray's table of nodes is to show whether the node is lost."""

    reason: str
    """Of the death, if the node is alive."""
    nodes: tuple[str, ...]
    deadline: float
    """The table shows it by then."""


class WorkerTable:
    """The workers that the broker knows, by name.

    Parameters
    ----------
    lease_s : float
        Seconds without a heartbeat after which a worker does not count as alive.
    node_death_s : float
        Seconds within which Ray's table of nodes shows that a node is dead.
    now : float
        The current time.
    """

    def __init__(self, lease_s: float, node_death_s: float, now: float):
        self._lease_s, self._node_death_s = lease_s, node_death_s
        self._workers: dict[str, Worker] = {}
        self._last_at = now
        self._draining: frozenset[str] = frozenset()
        self._dead_nodes: set[str] = set()
        self._unexplained: dict[str, _UnexplainedDeath] = {}
        self._lost_with_node: set[str] = set()
        self._retired: set[str] = set()

    def get(self, name: str) -> Worker | None:
        """The worker of that name, if it is alive."""
        return self._workers.get(name)

    @property
    def nodes(self) -> dict[str, tuple[str, ...]]:
        """Name of each worker → its nodes."""
        return {name: worker.info.nodes for name, worker in self._workers.items()}

    def register(self, worker: WorkerId, info: WorkerInfo, now: float) -> None:
        """A worker has started."""
        self.forget(worker.name, now)
        self._lost_with_node.discard(worker.name)
        self._workers[worker.name] = Worker(worker, info, now)

    def heartbeat(self, worker: WorkerId, now: float) -> Worker:
        """What is known of a worker that has just called."""
        self._last_at = now
        known = self._workers.get(worker.name)
        if known is None or known.id != worker:
            known = Worker(worker, WorkerInfo(), now)
            self._workers.setdefault(worker.name, known)
        known.heartbeat, known.ready = now, True
        return known

    def forget(self, name: str, now: float) -> None:
        """The worker of that name is no longer alive."""
        if self._workers.pop(name, None) is not None:
            self._last_at = now

    def count(self, now: float) -> WorkerCount:
        """How many workers are alive."""
        alive = sum(not worker.ready or now - worker.heartbeat <= self._lease_s for worker in self._workers.values())
        if alive:
            self._last_at = now
        return WorkerCount(alive, now - self._last_at)

    # --- preempted and retired workers

    def is_preempted(self, worker: Worker) -> bool:
        """Whether its process has received a notice, or one of its nodes is being drained."""
        return worker.notified or not self._draining.isdisjoint(worker.info.nodes)

    def drain(self, nodes: frozenset[str]) -> bool:
        """These nodes are being drained; whether others were before."""
        changed, self._draining = nodes != self._draining, nodes
        return changed

    def retire(self, names: Iterable[str]) -> None:
        """These workers are being ended by the driver: they get no more tasks."""
        self._retired.update(names)

    def is_retired(self, name: str) -> bool:
        """Whether the driver has ended it."""
        return name in self._retired

    # --- dead nodes

    def new_dead_nodes(self, dead: Mapping[str, str]) -> list[str]:
        """Those that were not dead before."""
        new = [node for node in dead if node not in self._dead_nodes]
        self._dead_nodes.update(new)
        return new

    def lose_node(self, node: str) -> tuple[list[Worker], list[str]]:
        """The workers that a node had, and names of those whose death this explains."""
        workers = [worker for worker in self._workers.values() if node in worker.info.nodes]
        explained = [name for name, death in self._unexplained.items() if node in death.nodes]
        for name in explained:
            del self._unexplained[name]
        self._lost_with_node.update(explained, (worker.id.name for worker in workers))
        return workers, explained

    def is_lost_with_node(self, name: str) -> bool:
        """Whether it was counted with its node."""
        return name in self._lost_with_node

    def add_unexplained(self, worker: Worker, reason: str, now: float) -> None:
        """A worker has died on a node that does not answer."""
        death = _UnexplainedDeath(reason, worker.info.nodes, now + self._node_death_s)
        self._unexplained[worker.id.name] = death

    def crashed(self, now: float) -> list[tuple[str, str]]:
        """Names and reasons of deaths whose node turned out to be alive."""
        found = [(name, death.reason) for name, death in self._unexplained.items() if death.deadline < now]
        for name, _ in found:
            del self._unexplained[name]
        return found
