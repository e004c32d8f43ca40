"""The two kinds of ``TorchTrainer``: one whose workers train by themselves, and one whose workers share a batch.

Starting a trainer takes ten seconds or so, longer than many tasks. So a trainer is started once, and its workers ask
the broker for tasks until there are no more.
"""

from __future__ import annotations

import uuid

import ray.data
import ray.train
from ray.train.torch import TorchTrainer

from scmmlab.execution.data_parallel import data_parallel_worker
from scmmlab.execution.independent_workers import IndependentConfig
from scmmlab.execution.shared_tables import SharedTable
from scmmlab.execution.train_watch import TrainWatch
from scmmlab.execution.worker import WorkerSettings, gang_worker
from scmmlab.execution.worker_plan import WorkerPlan

CONTROLLER_FAILURES = 2
"""Times that Train may fail to start its workers."""
WITHOUT_LIMIT = -1
"""Train replaces every worker that is lost: how many may be is the driver's affair, which knows why they were."""


def gang_trainer(
    plan: WorkerPlan, settings: WorkerSettings, tables: dict[str, SharedTable], folder: str
) -> TorchTrainer:
    """A trainer whose workers have nothing to do with each other: there is no process group, and one that dies is
    replaced alone.

    Parameters
    ----------
    plan : WorkerPlan
        How many workers, and what each has.
    settings : WorkerSettings
        What they are told.
    tables : dict
        The feature tables, from ``share_tables``.
    folder : str
        For what Train wants to write.
    """
    return TorchTrainer(
        gang_worker,
        train_loop_config={"settings": settings, "tables": tables},
        torch_config=IndependentConfig(),
        scaling_config=_scaling(plan, plan.workers),
        run_config=_run("gang", TrainWatch(settings.broker), folder),
    )


def data_parallel_trainer(
    plan: WorkerPlan,
    group: int,
    workers_per_cell: int,
    settings: WorkerSettings,
    sources: dict[str, ray.data.Dataset],
    fingerprints: dict[str, str],
    folder: str,
) -> TorchTrainer:
    """A trainer whose workers pre-train one encoder at a time together, each with its share of the source's windows.

    When one of them dies, Train replaces them all, and they go on from the last checkpoint.

    Parameters
    ----------
    plan : WorkerPlan
        What each worker has.
    group : int
        Number of the trainer, where there are several.
    workers_per_cell : int
        Workers of the trainer.
    settings : WorkerSettings
        What they are told.
    sources : dict
        Data sets of source windows by name, from ``share_source``, to be split.
    fingerprints : dict
        Of the feature tables, by location.
    folder
        As of :func:`gang_trainer`.
    """
    return TorchTrainer(
        data_parallel_worker,
        train_loop_config={"settings": settings, "group": group, "fingerprints": fingerprints},
        scaling_config=_scaling(plan, workers_per_cell),
        run_config=_run(f"data-parallel-{group}", TrainWatch(settings.broker, group), folder),
        datasets=sources,
    )


def _scaling(plan: WorkerPlan, workers: int) -> ray.train.ScalingConfig:
    return ray.train.ScalingConfig(
        num_workers=workers, use_gpu=plan.gpus > 0, resources_per_worker=plan.resources_per_worker
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
