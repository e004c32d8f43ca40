"""What is done to whom: each strike meets a run in the middle, and says whether the driver may go on after it."""

from __future__ import annotations

import os
import random
import signal
import subprocess
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

import psutil
from chaos_studies import MAX_FAILURES
from life import Life, named
from mlflow_server import MlflowServer
from ray_nodes import RayNodes
from troubled_disk import TroubledDisk

from s3_server import S3Server


@dataclass
class Scene:
    """A life, and what is around it."""

    life: Life
    random: random.Random
    stored: Callable[[], int]
    """Objects in the store."""
    nodes: RayNodes | None = None
    disk: TroubledDisk | None = None
    s3: S3Server | None = None
    mlflow: MlflowServer | None = None

    def processes(self) -> list[psutil.Process]:
        """Those of Ray, oldest first."""
        return self.nodes.processes() if self.nodes else self.life.below()


@dataclass(frozen=True)
class Strike:
    """One thing that is done."""

    strike: Callable[[Scene], object]
    survived: bool
    """Whether the driver goes on by itself. Otherwise it ends, and the command is given again."""
    ends_with: int | None = None
    """The exit status of a run that ends by it; any, where a signal is the strike."""
    takes_workers: bool = False
    """Whether tasks lose their workers: one that has lost two may be at fault itself, and is left to the next run."""


def one_of(*titles: str) -> Callable[[Scene], object]:
    """Kill one of the processes with such a title."""

    def strike(scene: Scene) -> None:
        victims: list[psutil.Process] = []

        def there() -> bool:
            victims[:] = named(scene.processes(), *titles)
            return bool(victims)

        if scene.life.until(there):
            scene.random.choice(victims).kill()

    return strike


def all_of(*titles: str) -> Callable[[Scene], object]:
    """Kill all processes with such a title, at once."""

    def strike(scene: Scene) -> None:
        for victim in named(scene.processes(), *titles):
            victim.kill()

    return strike


def send(number: int) -> Callable[[Scene], object]:
    """Send the driver a signal."""

    def strike(scene: Scene) -> None:
        scene.life.below()  # as long as it is there to be asked
        scene.life.process.send_signal(number)

    return strike


def stop_job(scene: Scene) -> None:
    """As Ray stops a job: SIGTERM, and after three seconds SIGKILL."""
    send(signal.SIGTERM)(scene)
    try:
        scene.life.process.wait(3.0)
    except subprocess.TimeoutExpired:
        send(signal.SIGKILL)(scene)


def lose_node(scene: Scene) -> None:
    """A machine with a worker is lost, raylet and all; another one joins."""
    nodes = scene.nodes
    assert nodes is not None
    if scene.life.until(lambda: bool(nodes.with_workers())):
        nodes.lose(scene.random.choice(nodes.with_workers()))
        nodes.add()


def lose_machine(scene: Scene) -> None:
    """A machine of many workers is lost, raylet and all, and none takes its place."""
    nodes = scene.nodes
    assert nodes is not None
    if scene.life.until(lambda: max(nodes.workers().values()) > MAX_FAILURES):
        workers = nodes.workers()
        nodes.lose(max(workers, key=workers.__getitem__))


def lose_head(scene: Scene) -> None:
    """Ray is lost as a whole."""
    if scene.nodes:
        scene.nodes.lose_head()
    else:
        all_of("gcs_server", "raylet")(scene)


def fill_disk(scene: Scene) -> None:
    """The disk of the store is full until the driver has said so."""
    assert scene.disk is not None
    with scene.disk.full(scene.life.process.pid):
        _until_refused(scene)


def refuse(scene: Scene) -> None:
    """The store refuses to be written to until the driver has said so."""
    with ExitStack() as trouble:
        for troubled in filter(None, (scene.disk, scene.s3)):
            trouble.enter_context(troubled.refusing())
        _until_refused(scene)


def _until_refused(scene: Scene) -> None:
    said = scene.life.said.count("Nothing is lost")
    scene.life.until(lambda: scene.life.said.count("Nothing is lost") > said)


def stop_mlflow(scene: Scene) -> None:
    """MLflow's server is killed, and started again when a third of what is left has been stored without it."""
    server = scene.mlflow
    assert server is not None
    server.stop()
    stored, total = scene.stored(), scene.random.randint(1, 3)
    scene.life.until(lambda: scene.stored() >= stored + total)
    server.start()


STRIKES: dict[str, Strike] = {
    "worker": Strike(one_of("ray::RayTrainWorker"), survived=True, takes_workers=True),
    "tune_trial": Strike(one_of("ray::ImplicitFunc", "ray::tune_trial"), survived=True),
    "broker": Strike(one_of("ray::Broker"), survived=False, ends_with=os.EX_TEMPFAIL),
    "controller": Strike(one_of("ray::TrainController"), survived=True, takes_workers=True),
    "node": Strike(lose_node, survived=True, takes_workers=True),
    "machine": Strike(lose_machine, survived=True, takes_workers=True),
    "head": Strike(lose_head, survived=False, ends_with=os.EX_TEMPFAIL),
    "driver SIGKILL": Strike(send(signal.SIGKILL), survived=False),
    "driver SIGINT": Strike(send(signal.SIGINT), survived=False),
    "driver SIGTERM": Strike(stop_job, survived=False),
    "full disk": Strike(fill_disk, survived=True),
    "refusing store": Strike(refuse, survived=True),
    "MLflow's server": Strike(stop_mlflow, survived=True),
}
