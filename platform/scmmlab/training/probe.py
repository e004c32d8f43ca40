"""The sweep's objective: how well a quick classifier on the frozen embedding does on validation windows.

Pre-training losses of different temperatures or masks cannot be compared; this can. The classifier is ridge regression
on one-hot labels, in closed form and float64, so that a probe has no randomness, no step size and no epochs of its own.

| symbol | meaning | shape |
|---|---|---|
| X | standardised embeddings of the fine-tune part | [n, E] |
| Y | one-hot labels | [n, K] |
| w | weight of each window; each class weighs the same, the sum is 1 | [n] |
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from scmmlab.config import ExperimentSpec
from scmmlab.errors import SpecError, TrainingError
from scmmlab.evaluation.metrics import balanced_accuracy, confusion
from scmmlab.methods.contract import FoldData
from scmmlab.methods.registry import trainer_of
from scmmlab.replica.windows import Scaling, WindowPool
from scmmlab.training.data import CellData

RIDGE = 0.1
"""Penalty λ, in units of the variance of a standardised feature."""

ENCODED_ROWS = 2048
"""Windows that are encoded at a time, to bound memory."""


class EmbeddingProbe:
    """Judges encoders by the validation parts of a cell's folds. Test windows are not even embedded.

    Parameters
    ----------
    experiment : ExperimentSpec
        Of the encoders.
    data : CellData
        The folds.
    device, dtype
        Of the encoder's arithmetic.
    """

    def __init__(
        self, experiment: ExperimentSpec, data: CellData, device: torch.device | str, dtype: torch.dtype = torch.float32
    ):
        self.folds = data.folds
        self.classes = len(data.classes)
        self.pool = WindowPool([fold.seen_features for fold in data.folds], device, dtype)
        self.scalings = [Scaling.stack([fold.scaler], device, dtype) for fold in data.folds]
        self.experiment, self.trainer = experiment, trainer_of(experiment)

    def __call__(self, tensors: Mapping[str, Tensor]) -> float:
        """Validation balanced accuracy of an encoder, mean over folds.

        Parameters
        ----------
        tensors : mapping of str to Tensor
            Its parameters and batch-norm buffers, by the released module's names.

        Raises
        ------
        TrainingError
            If its embeddings are not finite.
        """
        pairs = zip(self.folds, self.scalings, strict=True)
        return float(np.mean([self._fold(tensors, fold, scaling) for fold, scaling in pairs]))

    def _fold(self, tensors: Mapping[str, Tensor], data: FoldData, scaling: Scaling) -> float:
        finetune = self._embed(tensors, self.pool.rows(data.seen_features, data.fold.finetune), scaling)
        validation = self._embed(tensors, self.pool.rows(data.seen_features, data.fold.validation), scaling)
        label = torch.from_numpy(data.finetune_label).to(finetune.device)
        predicted = ridge_predictions(finetune, label, self.classes, validation)
        return balanced_accuracy(confusion(data.validation_label, predicted.cpu().numpy(), self.classes))

    @torch.no_grad()
    def _embed(self, tensors: Mapping[str, Tensor], rows: Tensor, scaling: Scaling) -> Tensor:
        parts = []
        for part in rows.split(ENCODED_ROWS):
            x_NCF = scaling.apply(self.pool.gather(part.unsqueeze(0)))[0]
            h = self.trainer.embed(self.experiment, tensors, x_NCF)
            assert h is not None, f"{self.experiment.method} pre-trains, and so it embeds"
            parts.append(h)
        h = torch.cat(parts).to(torch.float64)
        if not bool(h.isfinite().all()):
            raise TrainingError("The embeddings to be probed must be finite numbers, but some are not.")
        return h


def check_validates(experiment: ExperimentSpec, data: CellData) -> None:
    """Refuse with a SpecError a protocol without a validation part."""
    if not all(len(fold.validation_label) for fold in data.folds):
        raise SpecError(
            "A sweep needs a protocol with a validation part to judge its settings by, but 'protocol.kind' is "
            f"{experiment.protocol.kind!r}, which has none.",
            hint="use honest, loso or zero_shot.",
        )


def ridge_predictions(x: Tensor, label: Tensor, classes: int, new_x: Tensor) -> Tensor:
    """Classes of new rows by class-balanced ridge regression.

    Parameters
    ----------
    x, new_x : Tensor, float64, shape=(n, E), (m, E)
        Embeddings to fit on, and to predict.
    label : Tensor, int64, shape=(n,)
        Classes of `x`, each of which occurs.
    classes : int
        K.

    Returns
    -------
    Tensor, int64, shape=(m,)
    """
    # a feature that is constant among the fitted rows says nothing, and divided by 1 it stays so
    deviation, mean = torch.std_mean(x, dim=0, correction=0)
    deviation = torch.where(deviation > 0, deviation, 1.0)
    x, new_x = (x - mean) / deviation, (new_x - mean) / deviation
    # w_i = 1 / (K n_k), k the class of row i
    w = (1 / (classes * torch.bincount(label, minlength=classes).to(x.dtype)))[label].unsqueeze(-1)
    y = torch.nn.functional.one_hot(label, classes).to(x.dtype)
    x_mean, y_mean = (w * x).sum(0), (w * y).sum(0)
    x, y = x - x_mean, y - y_mean
    # A = (Xᵀ W X + λ I)⁻¹ Xᵀ W Y; λ > 0 keeps the matrix positive definite
    gram = x.T @ (w * x)
    gram.diagonal().add_(RIDGE)
    coefficients = torch.cholesky_solve(x.T @ (w * y), torch.linalg.cholesky(gram))
    return ((new_x - x_mean) @ coefficients + y_mean).argmax(-1)
