"""The two kinds of ``TorchTrainer``: one whose workers train by themselves, and one whose workers share a batch.

Starting a trainer takes ten seconds or so, longer than many tasks. So a trainer is started once, and its workers ask
the broker for tasks until there are no more. Train itself has its controllers on the driver's machine.
"""

from __future__ import annotations

import uuid

import ray.data
import ray.train
from ray.train.torch import TorchTrainer
from ray.train.v2._internal.callbacks.datasets import DatasetsCallback
from ray.train.v2._internal.callbacks.placement_group_callback import PlacementGroupCleanerCallback
from ray.train.v2._internal.execution.callback import RayTrainCallback

from scmmlab.execution.ray.data_parallel import data_parallel_worker
from scmmlab.execution.ray.independent_workers import IndependentConfig
from scmmlab.execution.ray.resources import WorkerPlan
from scmmlab.execution.ray.shared_tables import SharedTable
from scmmlab.execution.ray.train_watch import TrainWatch
from scmmlab.execution.ray.worker import WorkerSettings, gang_worker
from scmmlab.execution.ray.worker_groups import Group

NODE_LABEL = "ray.io/node-id"
"""By which Ray knows a machine."""
CONTROLLER_FAILURES = 2
"""Times that Train may fail to start its workers."""
WITHOUT_LIMIT = -1
"""Train replaces every worker that is lost: how many may be is the driver's affair, which knows why they were."""


class GangTrainer(TorchTrainer):
    """A TorchTrainer with two processes less, as there is one for each machine, and all are at home on the driver's.

    One of the two hands out data sets, of which there are none here; one does what the driver does (`end_for_good`).
    """

    def _create_default_callbacks(self) -> list[RayTrainCallback]:
        callbacks: list[RayTrainCallback] = super()._create_default_callbacks()
        idle = (DatasetsCallback, PlacementGroupCleanerCallback)
        return [callback for callback in callbacks if not isinstance(callback, idle)]


def gang_trainer(
    plan: WorkerPlan, settings: WorkerSettings, tables: dict[str, SharedTable], folder: str, group: Group
) -> TorchTrainer:
    """A trainer whose workers are on one machine and have nothing to do with each other: there is no process group, and
    one that dies is replaced alone.

    Parameters
    ----------
    plan : WorkerPlan
        What each worker has.
    settings : WorkerSettings
        What they are told.
    tables : dict
        The feature tables, from ``share_tables``.
    folder : str
        For what Train wants to write.
    group : Group
        How many workers, where, and what they are called.
    """
    return GangTrainer(
        gang_worker,
        train_loop_config={"settings": settings, "tables": tables, "first": group.first},
        torch_config=IndependentConfig(),
        scaling_config=_scaling(plan, group),
        run_config=_run(f"gang-{group.number}", TrainWatch(settings.broker, group.number, group.first), folder),
    )


def data_parallel_trainer(
    plan: WorkerPlan,
    settings: WorkerSettings,
    sources: dict[str, ray.data.Dataset],
    fingerprints: dict[str, str],
    folder: str,
    group: Group,
) -> TorchTrainer:
    """A trainer whose workers pre-train one encoder at a time together, each with its share of the source's windows.

    When one of them dies, Train replaces them all, and they go on from the last checkpoint.

    Parameters
    ----------
    plan : WorkerPlan
        What each worker has.
    settings : WorkerSettings
        What they are told.
    sources : dict
        Data sets of source windows by name, from ``share_source``, to be split.
    fingerprints : dict
        Of the feature tables, by location.
    folder, group
        As of :func:`gang_trainer`.
    """
    return TorchTrainer(
        data_parallel_worker,
        train_loop_config={"settings": settings, "group": group.number, "fingerprints": fingerprints},
        scaling_config=_scaling(plan, group),
        run_config=_run(f"data-parallel-{group.number}", TrainWatch(settings.broker, group.number, None), folder),
        datasets=sources,
    )


def _scaling(plan: WorkerPlan, group: Group) -> ray.train.ScalingConfig:
    return ray.train.ScalingConfig(
        num_workers=group.workers,
        use_gpu=plan.gpus > 0,
        resources_per_worker=plan.resources_per_worker,
        label_selector=None if group.node is None else {NODE_LABEL: group.node},
    )


def _run(name: str, watch: TrainWatch, folder: str) -> ray.train.RunConfig:
    return ray.train.RunConfig(
        # a name that was there before would be gone on with
        name=f"{name}-{uuid.uuid4().hex[:8]}",
        storage_path=folder,
        callbacks=[watch],
        failure_config=ray.train.FailureConfig(
            max_failures=WITHOUT_LIMIT,
            max_preemption_failures=WITHOUT_LIMIT,
            controller_failure_limit=CONTROLLER_FAILURES,
        ),
    )
