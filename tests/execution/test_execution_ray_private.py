"""What scmmlab uses of Ray beside its public interface: each name exists, takes its arguments, is used in one module.

A failure here says what to mend in `scmmlab.execution.ray.private` for the installed version of Ray.
"""

from __future__ import annotations

import ast
import inspect
import re
from importlib import import_module
from pathlib import Path

import pytest
import ray

import scmmlab
from scmmlab.execution.ray import private

CONTRACT = {
    "ray._private.utils.set_sigterm_handler": ("sigterm_handler",),
    "ray._private.services.get_node": ("gcs_address", "node_id"),
    "ray._private.services.canonicalize_bootstrap_address": ("addr",),
    "ray._private.worker.print_to_stdstream": ("data", "ignore_prefix"),
    "ray._private.worker.Worker.get_err_file_path": ("self",),
    "ray._private.worker.global_worker": None,
    "ray._private.worker._global_node": None,
    "ray._private.node.Node.get_session_dir_path": ("self",),
    "ray._private.state.available_resources_per_node": (),
    "ray._private.state.state": None,
    "ray._private.state.GlobalState.get_draining_nodes": ("self",),
    "ray._private.state.GlobalState._connect_and_get_accessor": ("self",),
    "ray._raylet.GlobalStateAccessor.get_placement_group_table": None,
    "ray._raylet.Config.initialize": None,
    "ray._raylet.Config.health_check_initial_delay_ms": None,
    "ray._raylet.Config.health_check_period_ms": None,
    "ray._raylet.Config.health_check_timeout_ms": None,
    "ray._raylet.Config.health_check_failure_threshold": None,
    "ray.PlacementGroupID": None,
    "ray.actor.ActorHandle": None,
    "ray.core.generated.gcs_pb2.PlacementGroupTableData.placement_group_id": None,
    "ray.core.generated.gcs_pb2.PlacementGroupTableData.creator_actor_id": None,
    "ray.core.generated.gcs_pb2.PlacementGroupTableData.state": None,
    "ray.core.generated.gcs_pb2.PlacementGroupTableData.REMOVED": None,
    "ray.train.backend.Backend.has_replica_groups": None,
    "ray.train.torch.TorchTrainer._create_default_callbacks": ("self",),
    "ray.train.v2._internal.execution.callback.WorkerGroupCallback.before_worker_group_start": (
        "self",
        "worker_group_context",
    ),
    "ray.train.v2._internal.execution.callback.WorkerGroupCallback.after_worker_group_poll_status": (
        "self",
        "worker_group_status",
    ),
    "ray.train.v2._internal.execution.callback.ReplicaGroupCallback.after_execution_group_start": (
        "self",
        "execution_group",
    ),
    "ray.train.v2._internal.execution.worker_group.ExecutionGroup.execute": ("self", "fn"),
    "ray.train.v2._internal.execution.worker_group.ExecutionGroup.get_workers": ("self",),
    "ray.train.v2._internal.execution.worker_group.WorkerGroupPollStatus.errors": None,
    "ray._private.ray_constants.DASHBOARD_CLIENT_MAX_SIZE": None,
    "ray._private.ray_constants.RAY_RUNTIME_ENV_IGNORE_GITIGNORE": None,
    "ray._private.ray_constants.get_runtime_env_default_excludes": (),
    "ray._private.runtime_env.packaging.GCS_STORAGE_MAX_SIZE": None,
    "ray._private.runtime_env.packaging._get_excludes": ("path", "excludes"),
    "ray._private.runtime_env.packaging._dir_travel": ("path", "excludes", "handler", "include_gitignore", "logger"),
    "ray.job_submission.JobSubmissionClient._do_request": ("self", "method", "endpoint"),
    "ray.job_submission.JobSubmissionClient._raise_error": ("self", "r"),
} | {f"{module}.{name}": None for name, module in private.TRAIN_NAMES.items()}
"""Dotted name → parameters that a call here, or one of Ray's to a function of ours, relies on; None: it exists."""

PRIVATE = re.compile(r"(\bray\._(?!_)|\bray\.core\b|\bray(\.\w+)+\._|\b_actor_id\b|\b_do_request\b|\b_raise_error\b)")


def find(dotted: str) -> object:
    """The object of that name; raises with the first part that is missing."""
    parts = dotted.split(".")
    for count in range(len(parts), 0, -1):
        try:
            found = import_module(".".join(parts[:count]))
        except ModuleNotFoundError:
            continue
        for done, part in enumerate(parts[count:], count):
            where = ".".join(parts[:done])
            message = getattr(found, "DESCRIPTOR", None)
            fields = getattr(found, "__dataclass_fields__", {}) | dict(getattr(message, "fields_by_name", {}))
            if part in fields:
                return fields[part]
            if not hasattr(found, part):
                raise AttributeError(f"Ray {ray.__version__} has no '{part}' in {where}, which {private.__name__} uses")
            found = getattr(found, part)
        return found
    raise AssertionError(dotted)


@pytest.mark.parametrize("name", CONTRACT)
def test_private_name_of_ray_is_there_and_takes_what_it_gets(name):
    found, expected = find(name), CONTRACT[name]
    if expected is not None:
        parameters = inspect.signature(found).parameters
        variable = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
        missing = [one for one in expected if one not in parameters and not variable]
        assert not missing, f"{name} of Ray {ray.__version__} takes no {missing}: {inspect.signature(found)}"


def test_a_name_that_is_gone_is_named():
    with pytest.raises(AttributeError, match=r"no 'gone' in ray\._private\.utils"):
        find("ray._private.utils.gone")


def code_of(file: Path) -> str:
    """A module without its docstrings and comments, which may speak of anything."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            node.value.value = ""
    return ast.unparse(tree)


def test_no_other_module_uses_private_names_of_ray():
    root = Path(scmmlab.__file__).parent
    users = {file.relative_to(root).as_posix() for file in root.rglob("*.py") if PRIVATE.search(code_of(file))}
    assert users == {"execution/ray/private.py"}
