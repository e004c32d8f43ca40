"""Nearest class mean, with means that are shrunken towards each other (Tibshirani et al. 2002)."""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import Field

from scmmlab.config.experiment import ExperimentSpec, ScalingKind
from scmmlab.methods.contract import ACCURACIES, Method, Trainer


class NearestMeanSpec(ExperimentSpec):
    """An experiment with the nearest class mean."""

    method: Literal["nearest_mean"] = "nearest_mean"
    """What is trained."""
    shrinkage: float = Field(0.0, ge=0, le=100)
    """By how much each feature of a class mean moves towards the mean of all, in units of the scaled feature."""
    scaling: ScalingKind = "standard"
    """How each feature is scaled, by numbers fitted only on what the protocol lets be seen."""


class NearestMean:
    """A classifier as scikit-learn has them: `fit`, and `decision_function` [windows, classes]."""

    def __init__(self, shrinkage: float):
        self.shrinkage = shrinkage

    def fit(self, X: np.ndarray, y: np.ndarray) -> NearestMean:
        self.classes_ = np.unique(y)
        centre = X.mean(axis=0)
        offset = np.stack([X[y == label].mean(axis=0) for label in self.classes_]) - centre
        offset = np.sign(offset) * np.maximum(np.abs(offset) - self.shrinkage, 0)
        if not offset.any():
            raise ValueError(f"a shrinkage of {self.shrinkage} leaves no difference between the class means")
        self.means_ = centre + offset
        return self

    def decision_function(self, X: np.ndarray) -> np.ndarray:
        # log p(k | x) = −‖x − μ_k‖² / 2 + constant, of classes of equal weight and unit variance
        return np.stack([-((X - mean) ** 2).sum(axis=1) / 2 for mean in self.means_], axis=1)


def load() -> Trainer:
    """Import what it computes with, which a plan does not need."""
    from scmmlab.methods.one_shot import OneShotTrainer

    class NearestMeanTrainer(OneShotTrainer):
        def estimator(self, spec: NearestMeanSpec, seed: int) -> NearestMean:
            return NearestMean(spec.shrinkage)

    return NearestMeanTrainer()


METHOD = Method(
    name="nearest_mean",
    version="1",
    title="nearest shrunken class mean of a window's features",
    spec=NearestMeanSpec,
    load=load,
    runs_on="cpu",
    metrics={"finetune": ACCURACIES},
)
