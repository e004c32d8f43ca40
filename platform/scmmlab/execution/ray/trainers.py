"""The two kinds of ``TorchTrainer``: one whose workers train on their own, and one whose workers share a batch.

Starting a trainer takes ten seconds or so, longer than many tasks. So a trainer is started once, and its workers ask
the broker for tasks until there are no more. Train runs its controllers on the driver's machine.
"""

from __future__ import annotations

import uuid

import ray.data
import ray.train
from ray.train.torch import TorchTrainer

from scmmlab.execution.ray.data_parallel import data_parallel_worker
from scmmlab.execution.ray.independent_workers import IndependentConfig
from scmmlab.execution.ray.private import FewerProcesses
from scmmlab.execution.ray.resources import WorkerPlan
from scmmlab.execution.ray.shared_tables import SharedTable
from scmmlab.execution.ray.worker import WorkerSettings, independent_worker
from scmmlab.execution.ray.worker_failure import WorkerFailureCallback
from scmmlab.execution.ray.worker_groups import WorkerGroup

NODE_LABEL = "ray.io/node-id"
"""By which Ray knows a node."""
CONTROLLER_FAILURES = 2
"""Times that Train may fail to start its workers."""
WITHOUT_LIMIT = -1
"""Train replaces every worker that is lost: the driver decides how many may be, as it knows why they were."""


class IndependentTrainer(FewerProcesses, TorchTrainer):
    """A TorchTrainer with two processes less: there is one for each machine, and all of them run on the driver's."""


def independent_trainer(
    plan: WorkerPlan, settings: WorkerSettings, tables: dict[str, SharedTable], folder: str, group: WorkerGroup
) -> TorchTrainer:
    """A trainer whose workers are on one machine and independent of each other: there is no process group, and one that
    dies is replaced alone.

    Parameters
    ----------
    plan : WorkerPlan
        What each worker has.
    settings : WorkerSettings
        Their settings.
    tables : dict
        The feature tables, from ``share_tables``.
    folder : str
        For what Train wants to write.
    group : WorkerGroup
        How many workers, where, and their names.
    """
    return IndependentTrainer(
        independent_worker,
        train_loop_config={"settings": settings, "tables": tables, "first": group.first},
        torch_config=IndependentConfig(),
        scaling_config=_scaling(plan, group),
        run_config=_run_config(
            f"workers-{group.number}", WorkerFailureCallback(settings.broker, group.number, group.first), folder
        ),
    )


def data_parallel_trainer(
    plan: WorkerPlan,
    settings: WorkerSettings,
    sources: dict[str, ray.data.Dataset],
    fingerprints: dict[str, str],
    folder: str,
    group: WorkerGroup,
) -> TorchTrainer:
    """A trainer whose workers pre-train one encoder at a time together, each with its share of the source's windows.

    When one of them dies, Train replaces them all, and they go on from the last checkpoint.

    Parameters
    ----------
    plan : WorkerPlan
        What each worker has.
    settings : WorkerSettings
        Their settings.
    sources : dict
        Data sets of source windows by name, from ``share_source``, to be split.
    fingerprints : dict
        Of the feature tables, by location.
    folder, group
        As of :func:`independent_trainer`.
    """
    return TorchTrainer(
        data_parallel_worker,
        train_loop_config={"settings": settings, "group": group.number, "fingerprints": fingerprints},
        scaling_config=_scaling(plan, group),
        run_config=_run_config(
            f"data-parallel-{group.number}", WorkerFailureCallback(settings.broker, group.number, None), folder
        ),
        datasets=sources,
    )


def _scaling(plan: WorkerPlan, group: WorkerGroup) -> ray.train.ScalingConfig:
    return ray.train.ScalingConfig(
        num_workers=group.workers,
        use_gpu=plan.gpus > 0,
        resources_per_worker=plan.resources_per_worker,
        label_selector=None if group.node is None else {NODE_LABEL: group.node},
    )


def _run_config(name: str, callback: WorkerFailureCallback, folder: str) -> ray.train.RunConfig:
    return ray.train.RunConfig(
        # Train would resume a run of a name that exists
        name=f"{name}-{uuid.uuid4().hex[:8]}",
        storage_path=folder,
        callbacks=[callback],
        failure_config=ray.train.FailureConfig(
            max_failures=WITHOUT_LIMIT,
            max_preemption_failures=WITHOUT_LIMIT,
            controller_failure_limit=CONTROLLER_FAILURES,
        ),
    )
