"""What the folds of all methods have in common: how they begin, the figures of an epoch, and how a failure is said."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from scmmlab.errors import DivergedError, ScmmlabError, TrainingError
from scmmlab.evaluation.metrics import balanced_accuracy, cohen_kappa, macro_f1
from scmmlab.methods.contract import Checkpoint, FoldRun

PREDICTED_ROWS = 128
"""Windows that are predicted at a time. Always as many, the last ones padded: with another number a matrix
multiplication may round otherwise, and a prediction must not depend on what else is predicted."""


def not_begun(run: FoldRun) -> FoldRun:
    """A copy of `run` at its beginning, which a pack may change."""
    return replace(run, epoch=0, curve=[], best=-math.inf, best_epoch=0)


def validation_figures(cells: Sequence[float], classes: int) -> dict[str, float]:
    """Figures of a validation part from the K² cells of its confusion matrix; none without a part."""
    if not len(cells):
        return {}
    matrix = np.array(cells, dtype=np.int64).reshape(classes, classes)
    return {
        "validation_accuracy": float(np.trace(matrix) / matrix.sum()),
        "validation_balanced_accuracy": balanced_accuracy(matrix),
        "validation_macro_f1": macro_f1(matrix),
        "validation_cohen_kappa": cohen_kappa(matrix),
    }


def judged_by(figures: Mapping[str, float], selection: str) -> float:
    """The figure of an epoch by which the best one is told."""
    return figures["validation_balanced_accuracy" if selection == "best_validation" else "train_accuracy"]


def progress(run: FoldRun) -> dict[str, Any]:
    """How far a fold has come, as a checkpoint's state has it."""
    # JSON has no −∞
    best = run.best if run.best_epoch else None
    return {"curve": list(run.curve), "best": best, "best_epoch": run.best_epoch}


def restore_progress(run: FoldRun, checkpoint: Checkpoint) -> None:
    """Let `run` go on from where `checkpoint` was made."""
    state = checkpoint.state
    run.epoch, run.curve, run.best_epoch = checkpoint.epoch, list(state["curve"]), state["best_epoch"]
    run.best = state["best"] if run.best_epoch else -math.inf


def divergence(run: FoldRun, finite: bool) -> TrainingError | None:
    """The error of a fold whose last epoch had a loss, or left parameters, that are not finite; else None."""
    loss = run.curve[-1]["loss"]
    if finite and loss is not None and math.isfinite(loss):
        return None
    found = f"the loss is {loss}" if finite else "its parameters are not"
    return DivergedError(
        f"Fine-tuning of {run.key} diverged on '{run.data.fold.name}' in epoch {run.epoch} of {run.epochs}: loss and "
        f"parameters must stay finite, but {found}.",
        hint="lower finetune.optimizer.learning_rate.",
    )


def fold_failure(run: FoldRun, error: Exception) -> ScmmlabError:
    """`error` of one fold as one that says whose it is; the original stays its cause, with its trace."""
    if isinstance(error, ScmmlabError):
        return error
    text = " ".join(f"{error}".split())
    said = TrainingError(
        f"Fine-tuning of {run.key} failed on '{run.data.fold.name}' in epoch {run.epoch + 1} of {run.epochs}: "
        f"{type(error).__name__}: {text}"
    )
    said.__cause__ = error
    return said
