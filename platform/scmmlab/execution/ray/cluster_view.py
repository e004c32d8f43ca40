"""What Ray's head says of the cluster now: its nodes, which of their resources are free, and ending actors on them."""

from __future__ import annotations

import socket
from collections.abc import Collection, Mapping, Sequence

import ray
from ray.actor import ActorHandle
from ray.util.placement_group import remove_placement_group

from scmmlab.execution.ray import private

Resources = Mapping[str, float]

ANSWER_S = 1.0
"""A node's raylet has so long to accept a connection."""


def node_resources() -> Sequence[Resources]:
    """Resources of each node that is alive, by Ray's names."""
    return list(resources_by_node().values())


def resources_by_node() -> Mapping[str, Resources]:
    """Id of each node that is alive → its resources, whoever holds them."""
    return {node["NodeID"]: node["Resources"] for node in ray.nodes() if node["Alive"]}


def free_resources() -> Mapping[str, Resources]:
    """Id of each node that is alive and not draining → its resources that nobody holds."""
    draining, alive = private.draining_nodes(), {node["NodeID"] for node in ray.nodes() if node["Alive"]}
    free = private.free_resources_by_node()
    return {node: resources for node, resources in free.items() if node in alive and node not in draining}


def dead_nodes() -> Mapping[str, str]:
    """Ids of the nodes that the head has declared dead, each with its address."""
    return {node["NodeID"]: node["NodeManagerAddress"] for node in ray.nodes() if not node["Alive"]}


def all_answer(nodes: Collection[str]) -> bool:
    """Whether all these nodes are alive in the head's table, and their raylets accept a connection."""
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


def node_death_s() -> float:
    """Seconds within which a node that no longer answers is seen to be dead, by a look every second."""
    return private.node_death_timeout_s() + ANSWER_S


def kill_with_placement_groups(actors: Sequence[ActorHandle]) -> None:
    """Kill actors and remove the placement groups that they made, which Ray keeps until the program ends."""
    for actor in actors:
        ray.kill(actor)
    for group in private.placement_groups_of(actors):
        remove_placement_group(group)
