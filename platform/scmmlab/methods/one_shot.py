"""Methods that are fitted at once: anything with `fit` and `predict_proba` or `decision_function`, as in scikit-learn.

A method gives its estimator; scaling, prediction, figures, checkpoints and failures are everybody's:

    class MyTrainer(OneShotTrainer):
        def estimator(self, spec, seed):
            return SomeClassifier(alpha=spec.alpha, random_state=seed)

What is fitted and predicted is each window, or a trial's windows together (`OneShotTrainer.context`).
Features are scaled in float64, and not in the pool's float32: that is what scikit-learn computes in. BLAS has one
thread, so that a fit has the same bits whatever else a machine, or a worker, does.

| symbol | meaning |
|---|---|
| N, P, K | windows; features, channels × bands; classes |
"""

from __future__ import annotations

import copy
import hashlib
import warnings
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

from scmmlab.config.experiment import TrainedStage
from scmmlab.errors import TrainingError
from scmmlab.evaluation.metrics import confusion, json_scores
from scmmlab.features import Scaler
from scmmlab.methods.contract import Checkpoint, FoldData, FoldPack, FoldResult, FoldRun, Trainer
from scmmlab.methods.fold_figures import (
    PREDICTED_ROWS,
    fold_failure,
    judged_by,
    not_begun,
    progress,
    restore_progress,
    validation_figures,
)
from scmmlab.methods.trial_context import Context, Part
from scmmlab.replica.seeding import derive_seed, finetune_purpose
from scmmlab.replica.shortage import out_of_memory
from scmmlab.replica.windows import WindowPool

Matrix = NDArray[np.float64]


class Estimator(Protocol):
    """What is fitted. It also has `predict_proba` [N, K] or `decision_function` ([N, K], or [N] of two classes)."""

    def fit(self, X: Matrix, y: NDArray[np.int64]) -> Any:
        """Learn from features [N, P] and labels [N]."""


class OneShotTrainer(Trainer):
    """A method without pre-training, whose one epoch is the fit of an estimator."""

    @abstractmethod
    def estimator(self, spec: Any, seed: int) -> Estimator:
        """A new estimator, not fitted.

        Parameters
        ----------
        spec : ExperimentSpec
            The cell's settings, of the method's spec.
        seed : int
            Below 2³², of the cell and the fold alone; for an estimator that draws (`random_state`).
        """

    def context(self, spec: Any) -> Context:
        """What its estimators are shown; each window by itself, unless a method says otherwise."""
        return "window"

    def fold_data(self, run: FoldRun) -> FoldData:
        """What a fold is fitted to: what it was granted, unless a method makes something else of it."""
        return run.data

    def steps(self, spec: Any, stage: TrainedStage, windows: int) -> int:
        """One."""
        return 1

    def finetune_pack(self, runs: Sequence[FoldRun], pool: WindowPool) -> OneShotPack:
        """Folds that are fitted one after the other; the pool's tensors are not used."""
        return OneShotPack(runs, self)


@dataclass(frozen=True)
class _Fitted:
    """What is kept of a fit: all that is asked of it afterwards."""

    test_logits: NDArray[np.float32]
    validation_logits: NDArray[np.float32]
    digest: str
    """Of the scores that it gives the fine-tune part."""


class OneShotPack(FoldPack):
    """Folds that are fitted one after the other, each in its one epoch.

    Whichever epoch is asked for is that one. An error is the fold's own; a fit that says that it did not converge is
    one.

    Parameters
    ----------
    runs : sequence of FoldRun
        The folds.
    trainer : OneShotTrainer
        Makes their estimators.
    """

    def __init__(self, runs: Sequence[FoldRun], trainer: OneShotTrainer):
        self.runs = [not_begun(run) for run in runs]
        self._trainer = trainer
        self._fitted: list[_Fitted | None] = [None] * len(self.runs)

    def train_epoch(self) -> list[Exception | None]:
        """Fit each fold and predict its parts; the errors of those that fail."""
        errors: list[Exception | None] = []
        for r, run in enumerate(self.runs):
            try:
                self._fitted[r] = self._fit(r)
            except Exception as error:
                if out_of_memory(error):
                    raise
                errors.append(fold_failure(run, error))
            else:
                errors.append(None)
        return errors

    def _estimator(self, r: int, part: Part) -> Estimator:
        """The estimator of a fold, fitted to its fine-tune part."""
        run = self.runs[r]
        seed = derive_seed(run.seed, finetune_purpose(run.data.fold.name)) % 2**32
        estimator = self._trainer.estimator(run.experiment, seed)
        estimator.fit(part.x, part.labels(run.data.finetune_label))
        return estimator

    def _fit(self, r: int) -> _Fitted:
        run = self.runs[r]
        data, classes = self._trainer.fold_data(run), run.classes
        fold, context = data.fold, self._trainer.context(run.experiment)
        part = finetune_part(replace(run, data=data), context)
        with _said_by(f"The fit of {run.key} on '{fold.name}'"), threadpool_limits(limits=1):
            estimator = self._estimator(r, part)
            logits = predicted_logits(estimator, part.x, classes)
            check_scores(estimator, part.x, logits)
            seen = part.of_windows(logits)
            validation_part = _part(data.seen_features, fold.validation, data.scaler, data.seen_trial, context)
            validation = validation_part.of_windows(predicted_logits(estimator, validation_part.x, classes))
            test_part = _part(data.test_features, fold.test, data.test_scaler, data.test_trial, context)
            test = test_part.of_windows(predicted_logits(estimator, test_part.x, classes))
        figures = {"train_accuracy": float(np.mean(seen.argmax(1) == data.finetune_label))}
        if len(validation):
            matrix = confusion(data.validation_label, validation.argmax(1), classes)
            figures |= validation_figures(matrix.ravel().tolist(), classes)
        run.epoch += 1
        run.curve.append({"epoch": run.epoch, **json_scores(figures)})
        run.best, run.best_epoch = judged_by(figures, run.experiment.protocol.epoch_selection), run.epoch
        return _Fitted(test, validation, hashlib.sha256(seen.tobytes()).hexdigest())

    def results(self) -> list[FoldResult]:
        """Predictions of the one epoch."""
        results = []
        for run, fitted in zip(self.runs, self._fitted, strict=True):
            assert fitted is not None, "results are asked for when all have ended"
            by_test = run.experiment.protocol.epoch_selection == "best_test"
            results.append(
                FoldResult(
                    run=run,
                    epoch=None if by_test else run.epoch,
                    test_logits=fitted.test_logits[None] if by_test else fitted.test_logits,
                    validation_logits=fitted.validation_logits if len(run.data.fold.validation) else None,
                    model_digest=fitted.digest,
                )
            )
        return results

    def checkpoint(self, r: int) -> Checkpoint:
        """The predictions of a fold that is fitted, and nothing of one that is not."""
        run, fitted = self.runs[r], self._fitted[r]
        fold = run.data.fold
        tensors = {
            f"{name}_logits": torch.zeros(len(rows), run.classes)
            if fitted is None
            else torch.from_numpy(getattr(fitted, f"{name}_logits").copy())
            for name, rows in (("test", fold.test), ("validation", fold.validation))
        }
        return Checkpoint(run.epoch, tensors, progress(run) | {"digest": fitted.digest if fitted else ""})

    def restore(self, r: int, checkpoint: Checkpoint) -> None:
        """Take over what `checkpoint` gave; one from before the fit has nothing, and it is fitted."""
        restore_progress(self.runs[r], checkpoint)
        self._fitted[r] = None
        if checkpoint.epoch:
            kept = {name: tensor.numpy().copy() for name, tensor in checkpoint.tensors.items()}
            self._fitted[r] = _Fitted(**kept, digest=checkpoint.state["digest"])

    def only(self, rs: Sequence[int]) -> OneShotPack:
        """The pack without its other folds."""
        rest = copy.copy(self)
        rest.runs, rest._fitted = [self.runs[r] for r in rs], [self._fitted[r] for r in rs]
        return rest


def finetune_part(run: FoldRun, context: Context) -> Part:
    """The fine-tune part of a fold, scaled."""
    data = run.data
    return _part(data.seen_features, data.fold.finetune, data.scaler, data.seen_trial, context)


def _part(
    features: NDArray[np.floating[Any]],
    rows: NDArray[np.int64],
    scaler: Scaler,
    trial: NDArray[np.int64],
    context: Context,
) -> Part:
    return Part(scaled(features, rows, scaler), trial[rows], context)


def scaled(features: NDArray[np.floating[Any]], rows: NDArray[np.int64], scaler: Scaler) -> Matrix:
    """Windows as (x − offset) / span in float64, flattened, [N, P]."""
    x_NCF = (features[rows].astype(np.float64) - scaler.offset) / scaler.span
    return x_NCF.reshape(len(rows), scaler.offset.size)


def predicted_logits(estimator: Any, x_NP: Matrix, classes: int) -> NDArray[np.float32]:
    """Scores [N, K] whose softmax are the estimator's probabilities: their logarithms, or its decision values.

    A class that the estimator has not seen gets a probability that is nothing beside the others'.

    Raises
    ------
    TrainingError
        If the estimator gives no score for each window and class, or one that is not finite.
    """
    if not len(x_NP):
        return np.zeros((0, classes), dtype=np.float32)
    parts = []
    for start in range(0, len(x_NP), PREDICTED_ROWS):
        part = x_NP[start : start + PREDICTED_ROWS]
        # as many rows each time; the first row stands for those that are missing
        full = np.concatenate((part, np.broadcast_to(x_NP[:1], (PREDICTED_ROWS - len(part), x_NP.shape[1]))))
        parts.append(_scores(estimator, full)[: len(part)])
    scores = np.concatenate(parts)
    seen = np.asarray(getattr(estimator, "classes_", np.arange(classes)))
    if scores.shape[1:] != (len(seen),) or not np.isfinite(scores).all():
        raise TrainingError(
            f"A fitted {type(estimator).__name__} must give each window one finite number for each of {len(seen)} "
            f"classes, got an array of shape {scores.shape}" + ("." if np.isfinite(scores).all() else " with others.")
        )
    logits = np.repeat(scores.min(axis=1, keepdims=True) + _IMPOSSIBLE, classes, axis=1)
    logits[:, seen] = scores
    return logits.astype(np.float32)


def check_scores(estimator: Any, x_NP: Matrix, logits_NK: NDArray[np.float32]) -> None:
    """Refuse an estimator that itself predicts another class than the one of the largest score.

    Scores of pairs of classes, or a threshold beside them, would be taken for what they are not.

    Raises
    ------
    TrainingError
        If it does so for a window whose largest score stands out.
    """
    if not hasattr(estimator, "predict"):
        return
    second, first = np.sort(logits_NK, axis=1)[:, -2:].T
    other = (estimator.predict(x_NP) != logits_NK.argmax(1)) & (first - second > _STANDS_OUT)
    if other.any():
        raise TrainingError(
            f"The largest score of a fitted {type(estimator).__name__} must be that of the class that it predicts, but "
            f"for {other.sum()} of {len(x_NP)} windows it is another's.",
            hint="have it score classes, not pairs of them, and predict by the score alone (of SVC: "
            "decision_function_shape='ovr', break_ties=True).",
        )


_STANDS_OUT = 1e-4
"""Difference of two scores that is none of rounding."""

_IMPOSSIBLE = float(np.log(np.finfo(np.float64).tiny))
"""Logarithm of a probability that is as good as 0, and finite."""


def _scores(estimator: Any, x_NP: Matrix) -> Matrix:
    if hasattr(estimator, "predict_proba"):
        # a probability of 0 has no logarithm: the least that float64 holds in full stands for it
        scores: Matrix = np.log(np.maximum(estimator.predict_proba(x_NP), np.finfo(np.float64).tiny))
        return scores
    values: Matrix = np.asarray(estimator.decision_function(x_NP), dtype=np.float64)
    # of two classes there is one column, the score of the second over the first
    return np.stack((np.zeros_like(values), values), axis=1) if values.ndim == 1 else values


@contextmanager
def _said_by(what: str) -> Iterator[None]:
    """Make an error of a fit that did not converge."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        try:
            yield
        except ConvergenceWarning as warning:
            first = " ".join(str(warning).split()).split(". ")[0].rstrip(".:")
            raise TrainingError(
                f"{what} did not converge: {first}.",
                hint="allow it more iterations, scale the features, or regularise more.",
            ) from warning
