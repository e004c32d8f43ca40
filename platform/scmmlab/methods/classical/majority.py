"""The most frequent class, whatever is shown: the row below which a method has learnt nothing."""

from __future__ import annotations

from sklearn.dummy import DummyClassifier

from scmmlab.config.experiment import TrainedStage
from scmmlab.methods.classical.spec import MajoritySpec
from scmmlab.methods.one_shot import OneShotTrainer


class MajorityTrainer(OneShotTrainer):
    """Predicts the shares of the classes in the fine-tune part."""

    def weight(self, spec: MajoritySpec, stage: TrainedStage) -> float:
        """It counts, and writes predictions down."""
        return 1.0

    def estimator(self, spec: MajoritySpec, seed: int) -> DummyClassifier:
        """Of classes that are equally frequent it predicts the first; nothing is drawn."""
        return DummyClassifier(strategy="prior")
