"""How long a plan will take on this machine, from a short measurement of its rates."""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass, replace

import torch

from scmmlab.config import ResourcesSpec
from scmmlab.config.experiment import TrainedStage
from scmmlab.errors import ResourceError
from scmmlab.execution.progress import duration
from scmmlab.execution.ray.resources import WorkerPlan, plan_workers_by_place
from scmmlab.execution.task import ANYWHERE
from scmmlab.methods.contract import RunsOn
from scmmlab.methods.registry import method_of, trainer_of
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
    places = plan.stages_by_place(done) or (method_of(plan.study.base).runs_on,)
    try:
        kinds = workers_here(plan.study.resources, places)
    except ResourceError as error:  # a plan for a cluster, made on a desktop, is fine all the same
        return f"No time estimate: this machine alone could not run it. {error.message}"
    parts = [_part(plan, done, workers, engine) for workers in kinds]
    seconds = [part.seconds for part in parts]
    if not any(seconds):
        return "Nothing is missing."
    # one process does one after the other, and so do workers that have to wait for others' CPUs
    at_once = engine != "local" and all(workers.workers for workers in kinds)
    total = START_UP_S[engine] + (max(seconds) if at_once else sum(seconds))
    return f"About {duration(_rounded(total))} on this machine: {'; '.join(part.text for part in parts)}."


@dataclass(frozen=True)
class _Part:
    """What some workers do."""

    seconds: float
    """How long they take, without the start."""
    text: str
    """How many there are, and how fast."""


def _part(plan: Plan, done: Collection[str], workers: WorkerPlan, engine: str) -> _Part:
    """What these workers do of a plan: the cells that run in the places that they take."""
    cells = tuple(cell for cell in plan.cells if method_of(cell.experiment).runs_on in workers.takes)
    part = replace(plan, cells=cells) if cells else plan
    threads = torch.get_num_threads()
    torch.set_num_threads(workers.threads)
    if engine == "local":  # its threads stand in for workers
        keep_for_replicas(workers.threads * workers.workers)
        workers = replace(workers, workers=1)
    try:
        pretrain, finetune = (_rate(part, kind, workers) for kind in KINDS)
    finally:
        torch.set_num_threads(threads)
        keep_for_replicas(None)
    number = max(1, workers.workers)  # those that wait for the others will be there in the end
    rates = Rates(pretrain_steps=pretrain * number, finetune_steps=finetune * number)
    kind = "GPU" if workers.device == "cuda" else "CPU"
    speed = f"{finetune:.0f} fine-tuning steps a second each"
    if workers.takes == ANYWHERE or any(cell.experiment.pretrains for cell in cells):
        speed = f"{pretrain:.0f} pre-training and {speed}"
    return _Part(estimate_seconds(part, done, rates), f"{_count(number, f'{kind} worker')}, {speed}")


def _rate(plan: Plan, kind: TrainedStage, workers: WorkerPlan) -> float:
    """Replica-steps a second of one worker, of the work that SCMM's have at its published settings: measured with the
    study's base, or with its first cell that has such a stage, in packs of the size that is usual for the device; 1
    where no cell has one.
    """
    study, transfer = plan.study, plan.study.transfers[0]
    experiments = [study.base, *(cell.experiment for cell in plan.cells)]
    theirs = [one for one in experiments if method_of(one).runs_on in workers.takes]
    experiment = next((one for one in theirs if kind == "finetune" or one.pretrains), None)
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


def workers_here(resources: ResourcesSpec, places: Collection[RunsOn]) -> tuple[WorkerPlan, ...]:
    """The workers that a study whose tasks run in these places gets on this machine alone."""
    here = {"CPU": float(os.cpu_count() or 1), "GPU": float(torch.cuda.device_count())}
    return plan_workers_by_place(resources, [here], None, dict.fromkeys(places))


def _rounded(seconds: float) -> float:
    """To 5 s or to a minute: as exact as an estimate deserves."""
    step = 5 if seconds < 60 else 60
    return max(step, step * round(seconds / step))


def _classes(plan: Plan) -> tuple[str, ...]:
    target = plan.study.transfers[0].target
    return target.classes or plan.manifests[target.table].classes


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("s" if number != 1 else "")
