"""The rounds of `make chaos`: each goes through all that can be struck, on every engine and kind of store."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from campaign import Arena, Campaign
from mlflow_server import MlflowServer
from ray_nodes import RayNodes
from troubled_disk import TroubledDisk

from s3_server import s3_server
from scmmlab.execution.checkpoint_pace import CHECKPOINT_S


@dataclass(frozen=True)
class Scenery:
    """A study, where it is run, and what is done to it, in an order that the seed draws."""

    study: str
    engine: str
    strikes: tuple[str, ...]
    around: str = ""
    """``nodes``, ``machine``, ``disk``, ``s3`` or ``mlflow``."""


SCENERIES = {
    "workers": Scenery("grid", "ray", ("worker", "controller", "driver SIGTERM")),
    "nodes": Scenery("grid", "ray", ("node", "worker", "driver SIGKILL"), "nodes"),
    "machine": Scenery("wide", "ray", ("machine",), "machine"),
    "head": Scenery("grid", "ray", ("head", "node"), "nodes"),
    "own-head": Scenery("grid", "ray", ("head", "driver SIGINT")),
    "slots": Scenery("search", "ray", ("tune_trial", "broker")),
    "sweep": Scenery("search", "ray", ("node", "worker", "driver SIGTERM"), "nodes"),
    "halving": Scenery("halving", "local", ("driver SIGKILL", "driver SIGTERM", "driver SIGINT")),
    "disk": Scenery("grid", "local", ("full disk", "refusing store", "driver SIGKILL"), "disk"),
    "s3": Scenery("search", "local", ("refusing store", "driver SIGKILL"), "s3"),
    "mlflow": Scenery("grid", "local", ("MLflow's server", "driver SIGKILL"), "mlflow"),
}


@contextmanager
def scene_of(name: str, arena: Arena, seed: int) -> Iterator[Campaign]:
    """The campaign of one scenery; what it needs is there for as long as the context lasts.

    What does not hold within the context is raised with a note of how to see it again.

    Parameters
    ----------
    name : str
        Of the scenery.
    arena : Arena
        Of all campaigns.
    seed : int
        Of the round.
    """
    scenery = SCENERIES[name]
    draw = random.Random(f"{seed} {name}")
    strikes = draw.sample(scenery.strikes, len(scenery.strikes))
    pace = draw.choice([0.0, 0.5, CHECKPOINT_S])
    folder = arena.folder / f"{seed}-{name}"
    folder.mkdir()
    with ExitStack() as stack:
        campaign = Campaign(
            arena, scenery.study, scenery.engine, strikes, f"{seed} {name} moments", str(folder / "runs"), pace
        )
        match scenery.around:
            case "nodes":
                campaign.nodes = stack.enter_context(RayNodes(2))
            case "machine":
                campaign.nodes = stack.enter_context(RayNodes(1, cpus=3))
            case "disk":
                campaign.disk = TroubledDisk(folder / "runs")
                stack.callback(campaign.disk.close)
            case "s3":
                campaign.s3 = stack.enter_context(s3_server(folder))
                campaign.store = campaign.s3.uri("runs")
            case "mlflow":
                campaign.mlflow = stack.enter_context(MlflowServer(folder, f"sqlite:///{folder / 'mlflow.db'}"))
        try:
            yield campaign
        except Exception as error:
            error.add_note(f"To see it again: make chaos SEED={seed} ROUNDS=1 ONLY={name}")
            raise
