"""What Ray's head says of the cluster now: its machines, what of them is free, who waits for it or holds it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import ray
from ray import PlacementGroupID
from ray.actor import ActorHandle
from ray.core.generated.gcs_pb2 import PlacementGroupTableData
from ray.util.placement_group import PlacementGroup, remove_placement_group

Resources = Mapping[str, float]


def machines() -> Sequence[Resources]:
    """Resources of each machine that is there, in Ray's words."""
    return [node["Resources"] for node in ray.nodes() if node["Alive"]]


def free_resources() -> Sequence[Resources]:
    """Of each machine that is there and stays, what nobody holds."""
    draining = draining_nodes()
    free = ray._private.state.available_resources_per_node()
    return [resources for node, resources in free.items() if node not in draining]


def served(actors: Sequence[ActorHandle]) -> bool:
    """Whether any of these actors has been given what it asked for as a placement group."""
    return any(group.state == group.CREATED for group in _placement_groups(actors))


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
