"""Join the cluster that this program was submitted to, or run a quiet Ray of its own on this machine."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import grpc
import ray

from scmmlab.errors import ResourceError, ScmmlabError, TryAgainError, first_line
from scmmlab.execution.ray import private
from scmmlab.execution.ray.session_folder import check_ray_folder
from scmmlab.execution.ray.token import (
    MODE,
    TOKEN,
    TOKEN_PATH,
    asks_for_token,
    close_token_file,
    find_token,
    provide_token,
    token_file,
)

MIB = 2**20
DEFAULT_OBJECT_STORE_MEMORY = 1024 * MIB
"""Feature tables are tens of megabytes; Ray's own default, 30 % of the machine, is meant for larger ones."""
LEAST_OBJECT_STORE_MEMORY = 80 * MIB
"""Ray refuses less than 75 MiB."""

DRIVER_ENVIRONMENT = {
    # Train serves a report, and sees that a worker ended, once per interval (2 s by default)
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.1",
    # workers stay in the directory in which they were started, so that relative paths mean the same everywhere
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    # what workers print goes to Ray's logs; patching print() would pull it back
    "RAY_TRAIN_ENABLE_PRINT_PATCH": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    # where memory runs out, Ray kills the actor that was created last, a worker; by its newer rule the one that was
    # called last, which is always the broker
    "RAY_worker_killing_policy_by_group": "true",
    # keep CUDA_VISIBLE_DEVICES as it is for actors without a GPU (and spare the user Ray's warning about it)
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    # Tune's and Train's tables, meant for notebooks
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
}
"""Set in the driver before Ray starts, where the user has not set them."""

_log = logging.getLogger(__name__)

ANSWER_S = 20.0
"""The head of a cluster that is joined has so long to answer: it may still be starting."""
START_S = 90.0
"""A Ray of our own may take so long to start."""

_TRIES = "RAY_gcs_server_port_wait_time_s"
"""How often Ray tries to connect to a head; it is named for its other use."""

CHATTY_LOGGERS = ("ray", "ray.data", "ray.train", "ray.tune")


@dataclass(frozen=True)
class RaySession:
    """A live connection to Ray."""

    logs: str
    """Folder of Ray's logs on the machine of its head."""


@contextmanager
def ray_session(
    num_cpus: int | None = None,
    num_gpus: int | None = None,
    dashboard: bool = False,
    object_store_memory: int | None = None,
) -> Iterator[RaySession]:
    """Ray, while the context lasts.

    Where ``RAY_ADDRESS`` is set, as it is in Ray's jobs, this program joins that cluster. Otherwise it starts a Ray of
    its own, and never joins one that merely happens to run on this machine. Where Ray is connected already, that
    connection is used and left as it was.

    A Ray of our own requires a token (see `token`), unless ``RAY_AUTH_MODE`` says otherwise. A cluster that is joined
    gets the same token where it requires one.

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
        When the cluster named by ``RAY_ADDRESS`` cannot be joined, or requires another token than there is; or when
        Ray does not start on this machine (a ``TryAgainError`` where it was too slow).
    """
    if ray.is_initialized():
        yield RaySession(logs=private.logs_folder())
        return
    for name, value in DRIVER_ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    quiet = {"log_to_driver": False, "logging_level": logging.ERROR}
    with private.sigterm_handler_kept():
        address = os.environ.get("RAY_ADDRESS")
        if address:
            _join(address, quiet)
        else:
            check_ray_folder(os.environ)
            provide_token()
            _require_token()
            _start(
                num_cpus=num_cpus,
                num_gpus=num_gpus,
                include_dashboard=dashboard,
                object_store_memory=object_store_memory or _object_store_memory(),
                **quiet,
            )
    for name in CHATTY_LOGGERS:
        logging.getLogger(name).setLevel(logging.ERROR)
    private.log_raylet_output(_log)
    try:
        yield RaySession(logs=private.logs_folder())
    finally:
        ray.shutdown()


def _start(**options: Any) -> None:
    try:
        with private.time_to_register(START_S):
            ray.init(address="local", **options)
    except Exception as error:  # Ray raises plain Exceptions too
        ray.shutdown()
        if "timed out during startup" in str(error):
            raise TryAgainError(
                f"Ray did not start on this machine within {START_S:g} s.",
                hint="if the machine is busy, try the same command later; scmmlab doctor looks for other reasons; "
                "--engine local runs without Ray",
            ) from error
        raise ResourceError(
            f"Ray failed to start on this machine: {first_line(error)}.",
            hint="scmmlab doctor checks this machine; --engine local runs without Ray",
        ) from error


def _join(address: str, quiet: dict[str, Any]) -> None:
    try:
        _agree_on_token(address)
        with _one_try_to_connect():
            ray.init(**quiet)
    except ScmmlabError:
        raise
    except Exception as error:
        raise ResourceError(
            f"Cannot join the Ray cluster at RAY_ADDRESS={address!r}: {first_line(error)}.",
            hint="start it with 'ray start --head', or unset RAY_ADDRESS to run on this machine alone",
        ) from error


@contextmanager
def _one_try_to_connect() -> Iterator[None]:
    """Have Ray give up on a head that vanishes while it is joined after one try of 40 s, not after twenty."""
    if _TRIES in os.environ:
        yield
        return
    os.environ[_TRIES] = "1"
    try:
        yield
    finally:
        del os.environ[_TRIES]


def _agree_on_token(address: str) -> None:
    """Send a cluster our token where it requires one: of a wrong one Ray says nothing for 20 s, and then not what."""
    if "://" in address or os.environ.get("RAY_USE_TLS", "0").lower() in ("1", "true"):
        return
    head = private.head_address(address)
    open_to_all = _accepts(head, None)
    if open_to_all is None:
        return
    why = _disagreement(head, open_to_all)
    if why is not None:
        raise ResourceError(
            f"Cannot join the Ray cluster at RAY_ADDRESS={address!r}: {why}.",
            hint=f"set {MODE}=token on both sides, and copy ~/.ray/auth_token from the cluster's head (mode 0600), or "
            f"name the file with {TOKEN_PATH}",
        )
    if open_to_all:
        _log.warning("The Ray cluster at %s requires no token: anyone who can reach it can run code as its user.", head)
    else:
        close_token_file()
        _require_token()


def _disagreement(head: str, open_to_all: bool) -> str | None:
    """Why a cluster and this program do not agree on a token; None where they do."""
    mode, token = os.environ.get(MODE), find_token(os.environ)
    if open_to_all:
        return f"it requires no token, but {MODE} is {mode!r}" if asks_for_token(os.environ) else None
    if mode and not asks_for_token(os.environ):
        return f"it requires a token, but {MODE} is {mode!r}"
    if token is None:
        return f"it requires a token, and there is none in {token_file(os.environ)}"
    if _accepts(head, token) is False:
        source = TOKEN if os.environ.get(TOKEN) else token_file(os.environ)
        return f"it requires a token, and the one in {source} is another"
    return None


def _accepts(head: str, token: str | None) -> bool | None:
    """Whether the head of a cluster accepts `token`; None where that is left to Ray to find out."""
    # like Ray's own connections, not through a web proxy
    with grpc.insecure_channel(head, [("grpc.enable_http_proxy", 0)]) as channel:
        ask = channel.unary_unary("/ray.rpc.NodeInfoGcsService/GetClusterId")
        shown = [("authorization", f"Bearer {token}")] if token else []
        try:
            ask(b"", timeout=ANSWER_S, metadata=shown, wait_for_ready=True)
        except grpc.RpcError as error:
            if error.code() in (grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.UNAVAILABLE):
                # Ray would keep trying for a quarter of an hour
                raise ConnectionError(f"nothing has answered there for {ANSWER_S:g} s") from error
            return False if error.code() is grpc.StatusCode.UNAUTHENTICATED else None
    return True


def _require_token() -> None:
    """Have Ray require the token and send it, unless the user has decided otherwise."""
    mode = os.environ.get(MODE)
    if not mode:
        os.environ[MODE] = "token"
        private.reload_configuration()
    elif not asks_for_token(os.environ):
        _log.warning("%s=%s: anyone who can reach a port of this Ray can run code as you.", MODE, mode)


def _object_store_memory() -> int:
    """A gibibyte, or half of what the shared-memory file system has free."""
    try:
        free = shutil.disk_usage("/dev/shm").free
    except OSError:
        return DEFAULT_OBJECT_STORE_MEMORY
    return max(LEAST_OBJECT_STORE_MEMORY, min(DEFAULT_OBJECT_STORE_MEMORY, free // 2))
