"""The nearest neighbours, by scikit-learn."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.neighbors import KNeighborsClassifier

from scmmlab.config.experiment import TrainedStage
from scmmlab.methods.classical.spec import KnnSpec
from scmmlab.methods.classical.trainer import ClassicalTrainer
from scmmlab.methods.one_shot import Matrix


class SmoothedNeighbors:
    """Neighbours, and one more of each class: a single window without any of a class's cannot rule it out in a vote."""

    def __init__(self, neighbors: KNeighborsClassifier):
        self._neighbors = neighbors

    def fit(self, X: Matrix, y: NDArray[np.int64]) -> SmoothedNeighbors:
        """Keep features [N, P] and labels [N]."""
        self._neighbors.fit(X, y)
        self.classes_: NDArray[np.int64] = self._neighbors.classes_
        return self

    def predict_proba(self, X: Matrix) -> Matrix:
        """(n_k + 1) / (n + K) [N, K], n_k of n neighbours being of class k."""
        asked = self._neighbors.n_neighbors
        smoothed: Matrix = (self._neighbors.predict_proba(X) * asked + 1) / (asked + len(self.classes_))
        return smoothed


class KnnTrainer(ClassicalTrainer):
    """Shares of the classes among the nearest windows of the fine-tune part."""

    def weight(self, spec: KnnSpec, stage: TrainedStage) -> float:
        """A fold of some thousand windows takes about as long as so many steps of SCMM's fine-tuning."""
        return 20.0

    def estimator(self, spec: KnnSpec, seed: int) -> KNeighborsClassifier | SmoothedNeighbors:
        """With the neighbours and the metric of the settings; nothing is drawn."""
        neighbors = KNeighborsClassifier(spec.neighbors, metric=spec.metric, algorithm="brute")
        return SmoothedNeighbors(neighbors) if spec.context == "vote" else neighbors
