"""How many workers a cluster can hold, or which resource it lacks. Pure."""

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
    """For which the cluster has room, whoever holds it at the moment."""
    cpus: float
    gpus: float
    least: int = 1
    """With fewer, a study does not begin."""
    most: int | None = None
    """More have nothing to do, or are not wanted; None where there may be any number."""

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
        """In Ray's words."""
        return {"CPU": self.cpus, "GPU": self.gpus} if self.gpus > 0 else {"CPU": self.cpus}


def plan_workers(
    resources: ResourcesSpec, nodes: Sequence[Mapping[str, float]], useful: int | None = None
) -> WorkerPlan:
    """The workers that a study gets.

    Parameters
    ----------
    resources : ResourcesSpec
        What the study asks for.
    nodes : sequence of mapping
        Resources of each machine of the cluster, in Ray's words (``CPU``, ``GPU``).
    useful : int | None
        More workers than this would have nothing to do; None where that is not known.

    Raises
    ------
    ResourceError
        When the cluster cannot hold them, naming the resource that it lacks.
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
    """Machine → how many of the plan's workers fit on what nobody holds of it; machines with none are left out.

    Parameters
    ----------
    plan : WorkerPlan
        What each of them has.
    free : mapping
        Machine → its resources that nobody holds.
    """
    needs = {"CPU": plan.cpus, "GPU": plan.gpus}
    return {name: room for name, node in free.items() if (room := _room(node, needs)) > 0}


def new_groups(
    room: Mapping[str, int],
    absent: Sequence[tuple[str | None, int]],
    wanted: int | None,
    together: int | None,
) -> list[tuple[str | None, int]]:
    """Groups of workers that can be started: of each, its machine and how many it has.

    Parameters
    ----------
    room : mapping
        Machine → workers that fit on what is free of it.
    absent : sequence of (str or None, int)
        Groups that are being started, whose place is free as long as they have not come.
    wanted : int | None
        Workers, at most; any number when None.
    together : int | None
        Workers of a group that share a cell, wherever they are; None where each is by itself, and a group is a
        machine's.
    """
    left = dict(room)
    for node, workers in absent:
        for name in tuple(left) if node is None else (node,):
            taken = min(workers, left.get(name, 0))
            left[name] = left.get(name, 0) - taken
            workers -= taken
    wanted = sum(left.values()) if wanted is None else max(0, min(wanted, sum(left.values())))
    if together is not None:
        return [(None, together)] * (wanted // together)
    groups: list[tuple[str | None, int]] = []
    for name, places in left.items():
        if (workers := min(places, wanted)) > 0:
            groups.append((name, workers))
            wanted -= workers
    return groups


def shortage(
    plan: WorkerPlan, together: int, nodes: Sequence[Mapping[str, float]], free: Sequence[Mapping[str, float]]
) -> str | None:
    """What keeps workers from starting.

    Parameters
    ----------
    plan : WorkerPlan
        What each of them has.
    together : int
        Workers that start together or not at all.
    nodes, free : sequence of mapping
        Resources of each machine that is there now, and those of them that nobody holds.

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
    absent = [name for name, want in wanted.items() if _total(nodes, name) + EPSILON < want]
    if absent:
        there = " and ".join(f"{wanted[name]:g} {name}, {_total(nodes, name):g} there" for name in absent)
        return f"{asked} need {there}"
    held = [name for name, want in wanted.items() if _total(free, name) + EPSILON < want]
    if held:
        there = " and ".join(
            f"{wanted[name]:g} {name}, {_total(free, name):g} of {_total(nodes, name):g} free" for name in held
        )
        return f"{asked} need {there}"
    return f"{asked} fit on no machine's free {' and '.join(wanted)}"


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
