"""What Ray's head says of the cluster now: its machines, what of them is free, who waits for it or holds it."""

from __future__ import annotations

import socket
from collections.abc import Collection, Mapping, Sequence

import ray
from ray import PlacementGroupID
from ray.actor import ActorHandle
from ray.core.generated.gcs_pb2 import PlacementGroupTableData
from ray.util.placement_group import PlacementGroup, remove_placement_group

Resources = Mapping[str, float]


ANSWER_S = 1.0
"""A machine's raylet has so long to take a connection."""


def machines() -> Sequence[Resources]:
    """Resources of each machine that is there, in Ray's words."""
    return [node["Resources"] for node in ray.nodes() if node["Alive"]]


def free_resources() -> Mapping[str, Resources]:
    """Of each machine that is there and stays, by Ray's name of it, what nobody holds."""
    draining, alive = draining_nodes(), {node["NodeID"] for node in ray.nodes() if node["Alive"]}
    free = ray._private.state.available_resources_per_node()
    return {node: resources for node, resources in free.items() if node in alive and node not in draining}


def dead_nodes() -> Mapping[str, str]:
    """Ray's names of the machines that its table has as dead, each with its address."""
    return {node["NodeID"]: node["NodeManagerAddress"] for node in ray.nodes() if not node["Alive"]}


def all_answer(nodes: Collection[str]) -> bool:
    """Whether the raylets of all these machines are there: in the table of nodes, and when they are asked."""
    table = {node["NodeID"]: node for node in ray.nodes()}
    for name in nodes:
        node = table.get(name)
        if node is None or not node["Alive"]:
            return False
        try:
            socket.create_connection((node["NodeManagerAddress"], node["NodeManagerPort"]), ANSWER_S).close()
        except OSError:
            return False
    return True


def notice_s() -> float:
    """Seconds in which Ray's head takes a machine for dead that answers no more: its checks, and a look of ours."""
    config = ray._raylet.Config
    each = config.health_check_period_ms() + config.health_check_timeout_ms()
    return (config.health_check_initial_delay_ms() + config.health_check_failure_threshold() * each) / 1000 + ANSWER_S


def end_for_good(actors: Sequence[ActorHandle]) -> None:
    """Kill actors and give back the placement groups that they have made, which Ray keeps until the program ends."""
    for actor in actors:
        ray.kill(actor)
    for group in _placement_groups(actors):
        remove_placement_group(PlacementGroup(PlacementGroupID(group.placement_group_id)))


def _placement_groups(actors: Sequence[ActorHandle]) -> list[PlacementGroupTableData]:
    """Those that are there of these actors; Ray's own table leaves out who made them."""
    makers = {actor._actor_id.binary() for actor in actors}
    table = ray._private.state.state._connect_and_get_accessor().get_placement_group_table()
    groups = [PlacementGroupTableData.FromString(data) for data in table]
    return [group for group in groups if group.creator_actor_id in makers and group.state != group.REMOVED]


def draining_nodes() -> frozenset[str]:
    """Ray's names of the machines that are being taken away: preempted ones, or ones that have had a SIGTERM."""
    return frozenset(ray._private.state.state.get_draining_nodes())
