"""How long a plan will take, from the steps it has and the rate at which this machine makes them."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass

from scmmlab.config import ExperimentSpec, HonestProtocol, ReleasedProtocol, TransferSpec
from scmmlab.config.experiment import TrainedStage
from scmmlab.methods.registry import trainer_of
from scmmlab.study.cells import Cell
from scmmlab.study.checks import selected_subjects
from scmmlab.study.plan import Plan
from scmmlab.tables import Manifest

PRETRAIN_STEP_WEIGHT = 12.0
"""Work of a pre-training step in fine-tuning steps (2.1 and 0.175 GFLOP), where rates were not measured."""


@dataclass(frozen=True)
class Rates:
    """What was measured in a short probe of the study's base."""

    pretrain_steps: float
    """Pre-training steps a second of one replica, all workers together (packs count each replica); of SCMM's at its
    published settings, or as much work."""
    finetune_steps: float
    """Fine-tuning steps a second of one fold, likewise."""
    start_up: float = 0.0
    """Seconds before the first step."""


def estimate_seconds(plan: Plan, done: Collection[str], rates: Rates) -> float:
    """Seconds that what is missing of `plan` will take.

    Parameters
    ----------
    plan : Plan
        The plan of an ablation; of a sweep, all settings are taken to run to the end.
    done : collection of str
        Keys of what is finished.
    rates : Rates
        Of this machine.
    """
    if not plan.cells:
        base = plan.sampled("base", {})
        settings = getattr(plan.study, "tune_trials", 0)
        return rates.start_up + settings * _judging_seconds(plan, base, rates)
    todo = [cell for key, cell in plan.distinct.items() if key not in done]
    pretraining = {cell.pretrain_key: cell for cell in todo if cell.pretrain_key and cell.pretrain_key not in done}
    seconds = sum(_pretrain_seconds(plan, cell, rates) for cell in pretraining.values())
    seconds += sum(_finetune_seconds(plan, cell, rates) for cell in todo)
    return (rates.start_up if todo else 0) + seconds


def _pretrain_seconds(plan: Plan, cell: Cell, rates: Rates) -> float:
    return weight(cell, "pretrain") * pretrain_steps(cell, plan.source(cell.transfer)) / rates.pretrain_steps


def _finetune_seconds(plan: Plan, cell: Cell, rates: Rates) -> float:
    steps = finetune_steps(cell, plan.source(cell.transfer), plan.target(cell.transfer))
    return weight(cell, "finetune") * steps / rates.finetune_steps


def _judging_seconds(plan: Plan, cell: Cell, rates: Rates) -> float:
    """Of one setting of a sweep: pre-trained, or fine-tuned by a method that has no pre-training."""
    return (_pretrain_seconds if cell.experiment.pretrains else _finetune_seconds)(plan, cell, rates)


def pretrain_steps(cell: Cell, source: Manifest) -> int:
    """Steps of a cell's pre-training; exact where every subject has as many windows as the next."""
    experiment = cell.experiment
    windows = _windows(cell.transfer, source, "source")
    return experiment.epochs("pretrain") * trainer_of(experiment).steps(experiment, "pretrain", windows)


def finetune_steps(cell: Cell, source: Manifest, target: Manifest) -> int:
    """Steps of a cell's fine-tuning, all folds together; likewise."""
    experiment = cell.experiment
    subjects = len(selected_subjects(cell.transfer.target, target))
    folds = math.ceil(subjects / experiment.protocol.subjects_per_fold)
    windows = _windows(cell.transfer, target, "target")
    if experiment.protocol.trained_on == "source":
        windows = _windows(cell.transfer, source, "source")
    seen = math.ceil(windows * _share(experiment, folds))
    return folds * experiment.epochs("finetune") * trainer_of(experiment).steps(experiment, "finetune", seen)


def weight(cell: Cell, stage: TrainedStage) -> float:
    """Time of a step of a cell's stage, in steps of SCMM's at its published settings, about."""
    return trainer_of(cell.experiment).weight(cell.experiment, stage)


def _windows(transfer: TransferSpec, manifest: Manifest, side: str) -> int:
    selection = transfer.source if side == "source" else transfer.target
    return round(manifest.windows * len(selected_subjects(selection, manifest)) / max(1, len(manifest.subjects)))


def _share(experiment: ExperimentSpec, folds: int) -> float:
    """Share of the windows that one fold is fine-tuned on."""
    protocol = experiment.protocol
    validates = getattr(protocol, "validation_share", 0.0)
    if protocol.trained_on == "source":
        return 1 - validates
    within = isinstance(protocol, HonestProtocol) or (
        isinstance(protocol, ReleasedProtocol) and protocol.split == "within_subject"
    )
    if within:
        assert isinstance(protocol, HonestProtocol | ReleasedProtocol)
        return protocol.finetune_share * (1 - validates) / folds
    return (1 - 1 / folds) * (1 - validates)
