"""Everything that this package uses of Ray beside its public interface, and what for.

Ray renames such things without notice: `tests/execution/test_execution_ray_private.py` names what is missing or takes
other arguments, and that no other module touches them. Names of Ray Train are imported when they are first used: Train
takes seconds to import, and not every module needs it.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import ray
from ray.util.placement_group import PlacementGroup

if TYPE_CHECKING:
    from ray.actor import ActorHandle


TRAIN_NAMES = {
    # the bases of what the controller calls when workers start and die
    "ReplicaGroupCallback": "ray.train.v2._internal.execution.callback",
    "WorkerGroupCallback": "ray.train.v2._internal.execution.callback",
    # errors that say what became of a worker, or of a group that was to start
    "WorkerGroupStartupTimeoutError": "ray.train.v2._internal.exceptions",
    "WorkerHealthCheckFailedError": "ray.train.v2._internal.exceptions",
    # callbacks that cost a process each, see `FewerProcesses`
    "DatasetsCallback": "ray.train.v2._internal.callbacks.datasets",
    "PlacementGroupCleanerCallback": "ray.train.v2._internal.callbacks.placement_group_callback",
}
"""Name → the module that has it."""

PACKAGING_LOGGER = "ray._private.runtime_env"
"""Logs each package that is uploaded."""


def __getattr__(name: str) -> Any:
    if name in TRAIN_NAMES:
        return getattr(import_module(TRAIN_NAMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


# --- starting and joining Ray


@contextmanager
def sigterm_handler_kept() -> Iterator[None]:
    """Keep ``ray.init`` from installing a SIGTERM handler, which exits at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    utils, handler = ray._private.utils, signal.getsignal(signal.SIGTERM)
    # restoring it afterwards would be too late for a signal that arrives while Ray starts
    theirs = utils.set_sigterm_handler
    utils.set_sigterm_handler = lambda sigterm_handler: None
    try:
        yield
    finally:
        utils.set_sigterm_handler = theirs
        signal.signal(signal.SIGTERM, handler if handler is not None else signal.SIG_DFL)


@contextmanager
def time_to_register(seconds: float) -> Iterator[None]:
    """Have ``ray.init`` wait so long for a Ray that it starts: its own 30 s are short on a busy machine."""
    services = ray._private.services
    theirs = services.get_node

    def get_node(gcs_address: str, node_id: str) -> Any:
        deadline = time.monotonic() + seconds
        while True:
            try:
                return theirs(gcs_address, node_id)
            except RuntimeError:  # it has not registered yet
                if time.monotonic() > deadline:
                    raise
            time.sleep(0.1)

    services.get_node = get_node
    try:
        yield
    finally:
        services.get_node = theirs


def head_address(address: str) -> str:
    """HOST:PORT of the head that Ray would join for `address`, such as ``auto``."""
    return str(ray._private.services.canonicalize_bootstrap_address(address))


def reload_configuration() -> None:
    """Have Ray read its environment variables again: it has read them when it was imported."""
    ray._raylet.Config.initialize("")


def log_raylet_output(log: logging.Logger) -> None:
    """Log what the raylet says, which Ray prints to standard output even where all is quiet."""

    def print_to_log(data: dict[str, Any], ignore_prefix: bool) -> None:
        log.info("%s", "\n".join(data["lines"]))

    ray._private.worker.print_to_stdstream = print_to_log


def logs_folder() -> str:
    """The folder of Ray's logs on the machine of its head."""
    return os.path.join(ray._private.worker._global_node.get_session_dir_path(), "logs")


def worker_log() -> str:
    """The file that this worker process's standard error goes to."""
    return str(ray._private.worker.global_worker.get_err_file_path())


# --- what the head knows of the cluster


def free_resources_by_node() -> dict[str, dict[str, float]]:
    """Node id → resources that nobody holds."""
    found: dict[str, dict[str, float]] = ray._private.state.available_resources_per_node()
    return found


def draining_nodes() -> frozenset[str]:
    """Ids of the nodes that are being drained."""
    return frozenset(ray._private.state.state.get_draining_nodes())


def node_death_timeout_s() -> float:
    """Seconds after which the head declares a node dead that no longer answers."""
    config = ray._raylet.Config
    each = config.health_check_period_ms() + config.health_check_timeout_ms()
    return float(config.health_check_initial_delay_ms() + config.health_check_failure_threshold() * each) / 1000


def placement_groups_of(actors: Sequence[ActorHandle]) -> list[PlacementGroup]:
    """The placement groups that these actors have made; Ray's public table leaves out who made them."""
    from ray.core.generated.gcs_pb2 import PlacementGroupTableData

    makers = {actor._actor_id.binary() for actor in actors}
    table = ray._private.state.state._connect_and_get_accessor().get_placement_group_table()
    groups = [PlacementGroupTableData.FromString(data) for data in table]
    return [
        PlacementGroup(ray.PlacementGroupID(group.placement_group_id))
        for group in groups
        if group.creator_actor_id in makers and group.state != group.REMOVED
    ]


# --- Ray Train


class FewerProcesses:
    """Put before TorchTrainer among the bases of a trainer without data sets: spares it two processes.

    One of them hands out data sets; the other frees what a lost controller held, which the driver does here.
    """

    def _create_default_callbacks(self) -> list[Any]:
        callbacks: list[Any] = super()._create_default_callbacks()  # type: ignore[misc]
        unused = (__getattr__("DatasetsCallback"), __getattr__("PlacementGroupCleanerCallback"))
        return [callback for callback in callbacks if not isinstance(callback, unused)]


# --- jobs


class JobRequests(ABC):
    """Put before JobSubmissionClient among the bases of a client: time limits, and one error with the HTTP status."""

    @abstractmethod
    def request_timeout(self, method: str) -> tuple[float, float]:
        """Seconds to connect, and to wait for an answer, of a request by an HTTP method."""

    @abstractmethod
    def refuse(self, status: int, text: str) -> NoReturn:
        """Raise what an answer other than the expected one means."""

    def _do_request(self, method: str, endpoint: str, **options: Any) -> Any:
        return super()._do_request(method, endpoint, timeout=self.request_timeout(method), **options)  # type: ignore[misc]

    def _raise_error(self, answer: Any) -> None:
        self.refuse(answer.status_code, answer.text)


def package_limit() -> int:
    """Bytes of a working directory's package that both the dashboard and the head take (100 MiB in Ray 2.60)."""
    from ray._private import ray_constants
    from ray._private.runtime_env import packaging

    return int(min(ray_constants.DASHBOARD_CLIENT_MAX_SIZE, packaging.GCS_STORAGE_MAX_SIZE))


def walk_package(folder: Path, excludes: Sequence[str], visit: Callable[[Path], None]) -> None:
    """Visit everything of a working directory that Ray would upload.

    Parameters
    ----------
    folder : Path
        The working directory.
    excludes : sequence of str
        Patterns of what stays, beyond Ray's own and those of .gitignore and .rayignore.
    visit : callable
        Is given each path.
    """
    from ray._private import ray_constants
    from ray._private.runtime_env import packaging

    quiet = logging.getLogger(f"{__name__}.walk")
    quiet.setLevel(logging.CRITICAL)
    patterns = [*ray_constants.get_runtime_env_default_excludes(), *excludes]
    packaging._dir_travel(
        folder,
        [packaging._get_excludes(folder, patterns)],
        visit,
        include_gitignore=os.environ.get(ray_constants.RAY_RUNTIME_ENV_IGNORE_GITIGNORE, "0") != "1",
        logger=quiet,
    )
