"""How many workers fit on a cluster, or which resource it lacks. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scmmlab.config import ResourcesSpec
from scmmlab.errors import ResourceError

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
    gpus = resources.gpus_per_worker
    if gpus is None:
        gpus = 1.0 if _total(nodes, "GPU") >= 1 else 0.0
    needs = {"CPU": float(resources.cpus_per_worker), "GPU": float(gpus)}
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
    starting: Sequence[tuple[str | None, int]],
    wanted: int | None,
    together: int | None,
) -> list[tuple[str | None, int]]:
    """Groups of workers that can be started: for each, its node and number of workers.

    Parameters
    ----------
    room : mapping
        Node → workers that fit on its free resources.
    starting : sequence of (str or None, int)
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
    groups: list[tuple[str | None, int]] = []
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
