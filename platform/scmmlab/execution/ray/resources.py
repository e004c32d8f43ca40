"""How many workers fit on a cluster, or which resource it lacks. Pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from scmmlab.config import ResourcesSpec
from scmmlab.errors import ResourceError
from scmmlab.execution.task import ANYWHERE, Places
from scmmlab.methods.contract import RunsOn

Placement = list[tuple[str | None, int]]
"""Groups of workers: for each, its node (None: any) and number of workers."""
EPSILON = 1e-6
"""Shares of a CPU or GPU are sums of floats."""


@dataclass(frozen=True)
class WorkerPlan:
    """Workers that are all alike."""

    workers: int
    """That fit on the cluster, whoever holds its resources now."""
    cpus: float
    gpus: float
    least: int = 1
    """A study does not start with fewer."""
    most: int | None = None
    """More would be idle, or are not wanted; None where there may be any number."""
    takes: Places = ANYWHERE
    """Where the tasks run that they take."""

    @property
    def noun(self) -> str:
        """What they are called where there are others."""
        return "worker" if self.takes == ANYWHERE else "GPU worker" if self.gpus > 0 else "CPU worker"

    @property
    def device(self) -> str:
        """Kind of device that they train on."""
        return "cuda" if self.gpus > 0 else "cpu"

    @property
    def threads(self) -> int:
        """Threads of a worker's arithmetic."""
        return max(1, int(self.cpus))

    @property
    def resources_per_worker(self) -> dict[str, float]:
        """By Ray's names."""
        return {"CPU": self.cpus, "GPU": self.gpus} if self.gpus > 0 else {"CPU": self.cpus}


def plan_workers(
    resources: ResourcesSpec, nodes: Sequence[Mapping[str, float]], useful: int | None = None
) -> WorkerPlan:
    """The workers that a study gets.

    Parameters
    ----------
    resources : ResourcesSpec
        What the study requests.
    nodes : sequence of mapping
        Resources of each node of the cluster, by Ray's names (``CPU``, ``GPU``).
    useful : int | None
        More workers than this would be idle; None where that is not known.

    Raises
    ------
    ResourceError
        When they do not fit on the cluster, naming the resource that it lacks.
    """
    needs = {"CPU": float(resources.cpus_per_worker), "GPU": _gpus_per_worker(resources, nodes)}
    room = sum(_room(node, needs) for node in nodes)
    least, most = resources.least_workers, resources.most_workers
    if room < least:
        raise _lacking(least, needs, nodes)
    if useful is not None:
        needed = max(useful, 1) * resources.workers_per_cell
        most = needed if most is None else min(most, needed)
    if most is not None:
        least = min(least, most)
    return WorkerPlan(room if most is None else min(room, most), needs["CPU"], needs["GPU"], least, most)


def plan_workers_by_place(
    resources: ResourcesSpec,
    nodes: Sequence[Mapping[str, float]],
    useful: int | None,
    by_place: Mapping[RunsOn, int | None],
) -> tuple[WorkerPlan, ...]:
    """The workers that a study gets: all alike, or GPU workers and, for tasks that run on the CPU alone, CPU workers.

    GPU workers come first, and CPU workers get what they leave: none where that is nothing, until GPU workers end.
    `resources.workers` bounds either kind by itself.

    Parameters
    ----------
    resources, nodes
        As for :func:`plan_workers`.
    useful : int | None
        More workers than this would be idle, where all are alike; None where that is not known.
    by_place : mapping
        Where tasks run → the same for the workers of such tasks. What is not there has no tasks; any task runs anywhere
        where nothing is there.

    Raises
    ------
    ResourceError
        As :func:`plan_workers` does; of the least number of workers that a study starts with, all are GPU workers.
    """
    if "cpu" not in by_place or not _gpus_per_worker(resources, nodes):
        return (plan_workers(resources, nodes, useful),)
    on_cpus = resources.model_copy(update={"gpus_per_worker": 0.0})
    if "any" not in by_place:
        return (plan_workers(on_cpus, nodes, useful),)
    gpu_plan = replace(plan_workers(resources, nodes, by_place["any"]), takes=("any",))
    free = {str(number): node for number, node in enumerate(nodes)}
    left = without(free, gpu_plan, new_groups(room_on(gpu_plan, free), [], gpu_plan.workers, None))
    unbounded = on_cpus.model_copy(update={"workers": None})
    cpu_plan = plan_workers(unbounded, nodes, by_place["cpu"])
    most = min((most for most in (cpu_plan.most, resources.most_workers) if most is not None), default=None)
    room = sum(room_on(cpu_plan, left).values())
    workers = room if most is None else min(room, most)
    return gpu_plan, replace(cpu_plan, workers=workers, least=1, most=most, takes=("cpu",))


def _gpus_per_worker(resources: ResourcesSpec, nodes: Sequence[Mapping[str, float]]) -> float:
    if resources.gpus_per_worker is None:
        return 1.0 if _total(nodes, "GPU") >= 1 else 0.0
    return float(resources.gpus_per_worker)


@dataclass(frozen=True)
class WorkersThere:
    """Workers of one plan that there are, and what they have to do."""

    plan: WorkerPlan
    """What each has, and how many there may be."""
    tasks: int
    """That they take, and that have not ended."""
    workers: int = 0
    """How many there are that stay, including those that are being started."""
    least: int = 1
    """Fewer are not started."""
    together: int | None = None
    """Workers that share a cell; None where each trains on its own."""
    nodes: Counter[str] = field(default_factory=Counter)
    """Node → how many there are, including those that are being started."""
    starting: Placement = field(default_factory=list)
    """Those that are being started, whose resources still count as free."""
    ended: bool = False
    """Whether there will be no more tasks for them."""

    @property
    def wants_more(self) -> bool:
        """Whether there is use for more: the last tasks need no more workers than hold them."""
        return self.tasks > self.workers

    def fitting(self, free: Mapping[str, Mapping[str, float]], at_most: float = math.inf) -> Placement:
        """Groups that may be started on free resources (node → resources)."""
        room = room_on(self.plan, free)
        if not self.wants_more or sum(room.values()) < self.least:
            return []
        most = min(at_most, math.inf if self.plan.most is None else self.plan.most - self.workers)
        return new_groups(room, self.starting, None if most == math.inf else int(most), self.together)


def place_workers(
    kinds: Sequence[WorkersThere], free: Mapping[str, Mapping[str, float]], nodes: Mapping[str, Mapping[str, float]]
) -> list[Placement]:
    """Groups of workers to be started, of each kind: GPU workers first, and CPU workers with the CPUs that these leave.

    CPU workers leave a CPU to each GPU worker that is to come, but for one of them, so that tasks of the CPU get on.

    Parameters
    ----------
    kinds : sequence of WorkersThere
        All workers, or GPU workers and CPU workers.
    free, nodes : mapping
        Node → its resources that nobody holds, and those that it has; the latter is used for several kinds alone.
    """
    placed: list[Placement] = []
    for kind in kinds:
        left = free
        for other, theirs in [(other, other.starting) for other in kinds if other is not kind]:
            left = without(left, other.plan, theirs)
        for other, new in zip(kinds, placed, strict=False):
            left = without(left, other.plan, new)
        spare, first = left, kinds[0]
        if kind is not first and not first.ended:
            there = first.nodes + Counter({node: workers for node, workers in placed[0] if node is not None})
            spare = reserved(left, nodes, first.plan, there)
        placed.append(kind.fitting(spare) or ([] if kind.workers else kind.fitting(left, at_most=kind.least)))
    return placed


def without(
    free: Mapping[str, Mapping[str, float]], plan: WorkerPlan, starting: Placement
) -> dict[str, dict[str, float]]:
    """Node → its free resources, less those of groups of the plan's workers that are being started.

    Parameters
    ----------
    free : mapping
        Node → its resources that nobody holds.
    plan : WorkerPlan
        What each worker has.
    starting : list of (str or None, int)
        Node of each group and its number of workers; of None, any nodes, the first that have room.
    """
    left = {name: dict(resources) for name, resources in free.items()}
    for node, workers in starting:
        for name in left if node is None else (node,):
            taken = min(workers, room_on(plan, left).get(name, 0))
            for resource, need in plan.resources_per_worker.items():
                if taken:
                    left[name][resource] -= taken * need
            workers -= taken
    return left


def reserved(
    free: Mapping[str, Mapping[str, float]],
    nodes: Mapping[str, Mapping[str, float]],
    plan: WorkerPlan,
    there: Mapping[str, int],
) -> dict[str, dict[str, float]]:
    """Node → its free resources, less the CPUs that GPU workers will need which are still to come.

    A GPU that others hold may become free at any time: its worker is to find a CPU beside it.

    Parameters
    ----------
    free, nodes : mapping
        Node → its resources that nobody holds, and those that it has.
    plan : WorkerPlan
        Of the GPU workers.
    there : mapping
        Node → GPU workers that are there, or being started.
    """
    to_come = math.inf if plan.most is None else plan.most - sum(there.values())
    left = {name: dict(node) for name, node in free.items()}
    for name, room in room_on(plan, nodes).items():
        coming = max(0, min(room - there.get(name, 0), to_come))
        to_come -= coming
        if name in left:
            left[name]["CPU"] = max(0.0, left[name].get("CPU", 0.0) - coming * plan.cpus)
    return left


def room_on(plan: WorkerPlan, free: Mapping[str, Mapping[str, float]]) -> dict[str, int]:
    """Node → how many of the plan's workers fit on its free resources; nodes with none are left out.

    Parameters
    ----------
    plan : WorkerPlan
        What each of them has.
    free : mapping
        Node → its resources that nobody holds.
    """
    needs = {"CPU": plan.cpus, "GPU": plan.gpus}
    return {name: room for name, node in free.items() if (room := _room(node, needs)) > 0}


def new_groups(
    room: Mapping[str, int],
    starting: Placement,
    wanted: int | None,
    together: int | None,
) -> Placement:
    """Groups of workers that can be started: for each, its node and number of workers.

    Parameters
    ----------
    room : mapping
        Node → workers that fit on its free resources.
    starting : list of (str or None, int)
        Groups that are being started, whose resources still count as free.
    wanted : int | None
        Workers, at most; any number when None.
    together : int | None
        Workers of a group that share a cell, on any nodes; None where each trains on its own, and a group is on one
        node.
    """
    left = dict(room)
    for node, workers in starting:
        for name in tuple(left) if node is None else (node,):
            taken = min(workers, left.get(name, 0))
            left[name] = left.get(name, 0) - taken
            workers -= taken
    wanted = sum(left.values()) if wanted is None else max(0, min(wanted, sum(left.values())))
    if together is not None:
        return [(None, together)] * (wanted // together)
    groups: Placement = []
    for name, fitting in left.items():
        if (workers := min(fitting, wanted)) > 0:
            groups.append((name, workers))
            wanted -= workers
    return groups


def shortage(
    plan: WorkerPlan, together: int, nodes: Sequence[Mapping[str, float]], free: Sequence[Mapping[str, float]]
) -> str | None:
    """Which resource keeps workers from starting.

    Parameters
    ----------
    plan : WorkerPlan
        What each of them has.
    together : int
        Workers that start together or not at all.
    nodes, free : sequence of mapping
        Resources of each node that is alive, and those of them that nobody holds.

    Returns
    -------
    str or None
        None where everything that they need is free.
    """
    needs = {"CPU": plan.cpus, "GPU": plan.gpus}
    if sum(_room(node, needs) for node in free) >= together:
        return None
    asked = _asked(together, needs)
    wanted = {name: together * need for name, need in needs.items() if need > 0}
    missing = [name for name, want in wanted.items() if _total(nodes, name) + EPSILON < want]
    if missing:
        there = " and ".join(f"{wanted[name]:g} {name}, {_total(nodes, name):g} there" for name in missing)
        return f"{asked} need {there}"
    held = [name for name, want in wanted.items() if _total(free, name) + EPSILON < want]
    if held:
        there = " and ".join(
            f"{wanted[name]:g} {name}, {_total(free, name):g} of {_total(nodes, name):g} free" for name in held
        )
        return f"{asked} need {there}"
    return f"{asked} do not fit on the free {' and '.join(wanted)} of any machine"


def _asked(workers: int, needs: Mapping[str, float]) -> str:
    each = " and ".join(f"{need:g} {name}" for name, need in needs.items() if need > 0)
    return f"{workers} worker{'s' if workers > 1 else ''} with {each}{' each' if workers > 1 else ''}"


def _room(node: Mapping[str, float], needs: Mapping[str, float]) -> int:
    """Workers that fit on `node`."""
    return int(min(node.get(name, 0.0) / need + EPSILON for name, need in needs.items() if need > 0))


def _total(nodes: Sequence[Mapping[str, float]], name: str) -> float:
    return sum(node.get(name, 0.0) for node in nodes)


def _lacking(workers: int, needs: Mapping[str, float], nodes: Sequence[Mapping[str, float]]) -> ResourceError:
    asked = _asked(workers, needs)
    short = [name for name, need in needs.items() if need > 0 and _total(nodes, name) + EPSILON < workers * need]
    if short:
        lacks = ", ".join(f"{workers * needs[name]:g} {name} needed, {_total(nodes, name):g} there" for name in short)
        message = f"The cluster lacks {' and '.join(short)} for {asked}: {lacks}."
    else:
        largest = ", ".join(f"{max((node.get(name, 0.0) for node in nodes), default=0.0):g} {name}" for name in needs)
        message = f"No arrangement of {asked} fits on the cluster's machines: the largest have {largest}."
    return ResourceError(
        message, hint="lower resources.workers, cpus_per_worker, gpus_per_worker or workers_per_cell, or add machines"
    )
