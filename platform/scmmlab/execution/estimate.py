"""How long a plan will take on this machine, from a short measurement of its rates."""

from __future__ import annotations

import os
from collections.abc import Collection

import torch

from scmmlab.config import ResourcesSpec
from scmmlab.config.experiment import TrainedStage
from scmmlab.errors import ResourceError
from scmmlab.execution.progress import duration
from scmmlab.execution.ray.resources import WorkerPlan, plan_workers
from scmmlab.methods.registry import trainer_of
from scmmlab.replica.replicas import keep_for_replicas
from scmmlab.study import Plan, Rates, estimate_seconds
from scmmlab.training.packs import finetune_pack_size, pretrain_pack_size
from scmmlab.training.rates import steps_of_finetuning, steps_of_pretraining

KINDS: tuple[TrainedStage, TrainedStage] = ("pretrain", "finetune")
SECONDS = 1.0
"""Each kind of step is measured for about so long."""
START_UP_S = {"ray": 20.0, "local": 0.0}
"""Time of an engine before the first step: for Ray itself, its workers, and sending them the tables."""


def estimate(plan: Plan, done: Collection[str], engine: str = "ray") -> str:
    """The time that what is missing of `plan` will take here, as a sentence.

    Parameters
    ----------
    plan : Plan
        The plan.
    done : collection of str
        Keys of finished stages.
    engine : str
        ``ray`` or ``local``.

    """
    try:
        workers = workers_here(plan.study.resources)
    except ResourceError as error:  # a plan for a cluster, made on a desktop, is fine all the same
        return f"No time estimate: this machine alone could not run it. {error.message}"
    threads = torch.get_num_threads()
    torch.set_num_threads(workers.threads)
    if engine == "local":  # its threads stand in for workers
        keep_for_replicas(workers.threads * workers.workers)
        workers = WorkerPlan(1, workers.cpus, workers.gpus)
    try:
        pretrain, finetune = (_rate(plan, kind, workers) for kind in KINDS)
    finally:
        torch.set_num_threads(threads)
        keep_for_replicas(None)
    rates = Rates(
        pretrain_steps=pretrain * workers.workers,
        finetune_steps=finetune * workers.workers,
        start_up=START_UP_S[engine],
    )
    seconds = estimate_seconds(plan, done, rates)
    if not seconds:
        return "Nothing is missing."
    kind = "GPU" if workers.device == "cuda" else "CPU"
    return (
        f"About {duration(_rounded(seconds))} on this machine: {_count(workers.workers, f'{kind} worker')}, "
        f"{pretrain:.0f} pre-training and {finetune:.0f} fine-tuning steps a second each."
    )


def _rate(plan: Plan, kind: TrainedStage, workers: WorkerPlan) -> float:
    """Replica-steps a second of one worker, of the work that SCMM's have at its published settings: measured with the
    study's base, or with its first cell that has such a stage, in packs of the size that is usual for the device; 1
    where no cell has one.
    """
    study, transfer = plan.study, plan.study.transfers[0]
    experiments = [study.base, *(cell.experiment for cell in plan.cells)]
    experiment = next((one for one in experiments if kind == "finetune" or one.pretrains), None)
    if experiment is None:
        return 1.0
    usual = pretrain_pack_size(workers.device) if kind == "pretrain" else finetune_pack_size(workers.device)
    make = steps_of_pretraining if kind == "pretrain" else steps_of_finetuning
    runner = make(
        experiment,
        len(plan.channels[transfer.name]),
        len(plan.source(transfer).bands),
        len(_classes(plan)),
        workers.device,
        study.resources.pack_size or usual,
    )
    return runner.rate(SECONDS) * trainer_of(experiment).weight(experiment, kind)


def workers_here(resources: ResourcesSpec) -> WorkerPlan:
    """The workers that a study gets on this machine alone."""
    return plan_workers(resources, [{"CPU": float(os.cpu_count() or 1), "GPU": float(torch.cuda.device_count())}])


def _rounded(seconds: float) -> float:
    """To 5 s or to a minute: as exact as an estimate deserves."""
    step = 5 if seconds < 60 else 60
    return max(step, step * round(seconds / step))


def _classes(plan: Plan) -> tuple[str, ...]:
    target = plan.study.transfers[0].target
    return target.classes or plan.manifests[target.table].classes


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("s" if number != 1 else "")
