"""The nearest neighbours, by scikit-learn."""

from __future__ import annotations

from sklearn.neighbors import KNeighborsClassifier

from scmmlab.config.experiment import TrainedStage
from scmmlab.methods.classical.spec import KnnSpec
from scmmlab.methods.classical.trainer import ClassicalTrainer
from scmmlab.methods.one_shot import Matrix


class SmoothedNeighbors(KNeighborsClassifier):
    """Neighbours, and one more of each class: a single window without any of a class's cannot rule it out in a vote."""

    def predict_proba(self, X: Matrix) -> Matrix:
        """(n_k + 1) / (n + K) [N, K], n_k of n neighbours being of class k."""
        share: Matrix = super().predict_proba(X)
        smoothed: Matrix = (share * self.n_neighbors + 1) / (self.n_neighbors + share.shape[1])
        return smoothed


class KnnTrainer(ClassicalTrainer):
    """Shares of the classes among the nearest windows of the fine-tune part."""

    def weight(self, spec: KnnSpec, stage: TrainedStage) -> float:
        """A fold of some thousand windows takes about as long as so many steps of SCMM's fine-tuning."""
        return 20.0

    def estimator(self, spec: KnnSpec, seed: int) -> KNeighborsClassifier:
        """With the neighbours and the metric of the settings; nothing is drawn."""
        kind = SmoothedNeighbors if spec.context == "vote" else KNeighborsClassifier
        return kind(spec.neighbors, metric=spec.metric, algorithm="brute")
