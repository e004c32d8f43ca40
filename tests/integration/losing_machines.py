"""A program with a Ray of several machines, of which one is drained and two are lost; what happened is left as JSON."""

from __future__ import annotations

import json
import time
from pathlib import Path

import ray
from comparing import events_of_engine, ray_engine, run
from ray.cluster_utils import Cluster
from ray.core.generated.autoscaler_pb2 import DrainNodeReason
from struck_study import At, study_of_two_packs
from tiny_study import plan_of

from scmmlab.errors import ResourceError
from scmmlab.execution.events import EpochEnded, TaskLost, WorkerLost, WorkersChanged
from scmmlab.execution.ray.private import time_to_register
from scmmlab.study import ResultStore

MEMORY = 100 * 2**20
LONG = 400
"""Epochs that take longer than Ray and the broker to tell a worker that its machine is drained."""
START_S = 30
"""How long workers of a cluster that lacks a machine are waited for: longer than any take to start."""


@time_to_register(300)  # Ray gives a node 30 s, which are short on a busy machine
def main(folder: Path, drained: Path, gone: Path, lost: Path, told_in: Path) -> None:
    """Run a study whose machine is drained, one that goes on without a machine, and one that cannot.

    Parameters
    ----------
    folder : Path
        Of the tables.
    drained, gone, lost : Path
        Stores of the three.
    told_in : Path
        What happened: ``complete``, ``losses`` and ``epochs`` of the first; ``complete``, ``losses``, ``changes`` of
        its workers and ``elsewhere`` (what is not on the driver's machine, and should be) of the second, as ``gone``;
        ``error`` of the third.
    """
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "object_store_memory": MEMORY})
    nodes = [cluster.add_node(num_cpus=1, object_store_memory=MEMORY) for _ in range(2)]
    ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
    told: dict[str, object] = {}

    def drain():
        client = ray._raylet.GcsClient(address=cluster.address)
        reason = DrainNodeReason.DRAIN_NODE_REASON_PREEMPTION
        deadline = int((time.time() + 30) * 1000)
        accepted, _ = client.drain_node(nodes[0].node_id, reason, "it is taken away", deadline)
        assert accepted

    plan = plan_of(study_of_two_packs(folder, LONG))
    engine = ray_engine(plan)
    events = events_of_engine(engine)
    told["complete"] = run(plan, ResultStore(drained), engine, At(10, drain, of=2)).complete
    told["losses"] = [event.kind for event in events if isinstance(event, WorkerLost)]
    tasks = [event.task_id.removeprefix("pretrain-") for event in events if isinstance(event, TaskLost)]
    told["epochs"] = [
        [
            event.epoch
            for event in events
            if isinstance(event, EpochEnded) and event.key == key and event.stage == "pretrain"
        ]
        for key in tasks
    ]

    cluster.remove_node(nodes[0], allow_graceful=False)
    wide = cluster.add_node(num_cpus=2, object_store_memory=MEMORY)

    def replace():
        here = ray.get_runtime_context().get_node_id()
        seen["elsewhere"] = [
            actor["ActorClassName"]
            for actor in ray._private.state.actors().values()
            if actor["State"] == "ALIVE"
            and actor["ActorClassName"] in ("Broker", "TrainController", "SynchronizationActor")
            and actor["Address"]["NodeID"] != here
        ]
        cluster.remove_node(wide, allow_graceful=False)
        cluster.add_node(num_cpus=1, object_store_memory=MEMORY)

    plan = plan_of(study_of_two_packs(folder, LONG, seeds=[0, 1]))
    engine = ray_engine(plan)
    events, seen = events_of_engine(engine), dict[str, object]()
    seen["complete"] = run(plan, ResultStore(gone), engine, At(10, replace, of=3)).complete
    seen["losses"] = [event.kind for event in events if isinstance(event, WorkerLost)]
    seen["changes"] = [str(event) for event in events if isinstance(event, WorkersChanged)]
    told["gone"] = seen

    for node in list(cluster.worker_nodes):
        if node is not nodes[1]:
            cluster.remove_node(node, allow_graceful=False)
    other = cluster.add_node(num_cpus=1, object_store_memory=MEMORY)
    together = study_of_two_packs(folder, LONG, workers_per_cell=2, max_failures=3, start_timeout_s=START_S)
    plan = plan_of(together)

    def lose():
        cluster.remove_node(other, allow_graceful=False)

    try:
        run(plan, ResultStore(lost), ray_engine(plan), At(10, lose))
    except ResourceError as error:
        told["error"] = error.message
    told_in.write_text(json.dumps(told), encoding="utf-8")
    ray.shutdown()
    cluster.shutdown()
