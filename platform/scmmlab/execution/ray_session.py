"""Join the cluster that this program was submitted to, or run a quiet Ray of its own on this machine."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray

from scmmlab.errors import ResourceError

MIB = 2**20
DEFAULT_OBJECT_STORE_MEMORY = 1024 * MIB
"""Feature tables are tens of megabytes; Ray's own default, 30 % of the machine, is there for larger ones."""
LEAST_OBJECT_STORE_MEMORY = 80 * MIB
"""Ray refuses less than 75 MiB."""

DRIVER_ENVIRONMENT = {
    # Train serves a report, and sees that a worker ended, once per interval (2 s by default)
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.1",
    # workers stay in the directory that they were started in, so that relative paths mean the same everywhere
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    # what workers print goes to Ray's logs; patching print() would pull it back
    "RAY_TRAIN_ENABLE_PRINT_PATCH": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    # keep CUDA_VISIBLE_DEVICES as it is for actors without a GPU (and spare the user Ray's warning about it)
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    # Tune's and Train's tables, meant for notebooks
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
}
"""Set in the driver before Ray starts, where the user has not set them."""

_log = logging.getLogger(__name__)

CHATTY_LOGGERS = ("ray", "ray.data", "ray.train", "ray.tune")


@dataclass(frozen=True)
class RaySession:
    """A live connection to Ray."""

    owned: bool
    """Whether this program started Ray, and will stop it."""
    logs: str
    """Folder of Ray's logs on the machine of its head."""


@contextmanager
def ray_session(
    num_cpus: int | None = None,
    num_gpus: int | None = None,
    dashboard: bool = False,
    object_store_memory: int | None = None,
) -> Iterator[RaySession]:
    """Ray, for as long as the context lasts.

    Where ``RAY_ADDRESS`` is set, as it is in Ray's jobs, this program joins that cluster. Otherwise it starts a Ray of
    its own, and never joins one that merely happens to run on this machine. Where Ray is connected already, that
    connection is used and left as it was.

    Parameters
    ----------
    num_cpus, num_gpus : int | None
        What a Ray of our own offers; what the machine has when None. A cluster that is joined has what it has.
    dashboard : bool
        Whether a Ray of our own runs its dashboard (on loopback).
    object_store_memory : int | None
        Bytes of a Ray of our own for shared objects; 1 GiB, or less on a small machine, when None.

    Raises
    ------
    ResourceError
        When the cluster named by ``RAY_ADDRESS`` cannot be joined.
    """
    if ray.is_initialized():
        yield RaySession(owned=False, logs=_logs_folder())
        return
    for name, value in DRIVER_ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    quiet = {"log_to_driver": False, "logging_level": logging.ERROR}
    with _signal_handlers_kept():
        address = os.environ.get("RAY_ADDRESS")
        if address:
            try:
                ray.init(**quiet)
            except (ConnectionError, ValueError, RuntimeError) as error:
                raise ResourceError(
                    f"cannot join the Ray cluster at RAY_ADDRESS={address!r}: {_first_line(error)}",
                    hint="start it with 'ray start --head', or unset RAY_ADDRESS to run on this machine alone",
                ) from error
        else:
            ray.init(
                address="local",
                num_cpus=num_cpus,
                num_gpus=num_gpus,
                include_dashboard=dashboard,
                object_store_memory=object_store_memory or _object_store_memory(),
                **quiet,
            )
    for name in CHATTY_LOGGERS:
        logging.getLogger(name).setLevel(logging.ERROR)
    _close_token_file()
    _keep_raylet_off_stdout()
    try:
        yield RaySession(owned=not address, logs=_logs_folder())
    finally:
        ray.shutdown()


@contextmanager
def _signal_handlers_kept() -> Iterator[None]:
    """Keep ``ray.init`` from taking SIGTERM: its handler exits at once, without a word to those who wait."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handler = signal.getsignal(signal.SIGTERM)
    # put back afterwards would be too late for a signal that arrives while Ray starts
    theirs = ray._private.utils.set_sigterm_handler
    ray._private.utils.set_sigterm_handler = lambda handler: None
    try:
        yield
    finally:
        ray._private.utils.set_sigterm_handler = theirs
        signal.signal(signal.SIGTERM, handler if handler is not None else signal.SIG_DFL)


def _close_token_file() -> None:
    """Ray writes the token that lets one run code on a cluster so that every user of the machine can read it."""
    token = Path.home() / ".ray" / "auth_token"
    with suppress(OSError):
        if token.stat().st_mode & 0o077:
            token.chmod(0o600)


def _keep_raylet_off_stdout() -> None:
    """Have what the raylet says logged: even where all is quiet, it is printed to standard output, where tables go."""

    def log(data: dict[str, Any], ignore_prefix: bool) -> None:
        _log.info("%s", "\n".join(data["lines"]))

    ray._private.worker.print_to_stdstream = log


def _object_store_memory() -> int:
    """A gibibyte, or half of what the shared-memory file system has free."""
    try:
        free = shutil.disk_usage("/dev/shm").free
    except OSError:
        return DEFAULT_OBJECT_STORE_MEMORY
    return max(LEAST_OBJECT_STORE_MEMORY, min(DEFAULT_OBJECT_STORE_MEMORY, free // 2))


def _logs_folder() -> str:
    return os.path.join(ray._private.worker._global_node.get_session_dir_path(), "logs")


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
