"""Support vector machines, by scikit-learn (libsvm, liblinear)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.svm import SVC, LinearSVC

from scmmlab.config.experiment import TrainedStage
from scmmlab.methods.classical.spec import SvmSpec
from scmmlab.methods.classical.trainer import ClassicalTrainer
from scmmlab.methods.one_shot import Matrix


class RbfSvm:
    """Hinge loss with the kernel exp(−γ‖x − x'‖²), one classifier for each pair of classes.

    γ is relative to the features, which are known when it is fitted.
    """

    def __init__(self, spec: SvmSpec, class_weight: str | None, seed: int):
        self._spec, self._class_weight, self._seed = spec, class_weight, seed

    def fit(self, X: Matrix, y: NDArray[np.int64]) -> RbfSvm:
        """Learn from features [N, P] and labels [N]."""
        spec = self._spec
        # γ = gamma / (P Var X); features that are all constant have no variance, and any γ will do
        self.gamma = spec.gamma / (X.shape[1] * (float(X.var()) or 1.0))
        self._svc = SVC(
            C=spec.c,
            gamma=self.gamma,
            class_weight=self._class_weight,
            tol=spec.tolerance,
            max_iter=spec.max_iterations,
            # scores of classes instead of pairs, and the prediction is that of the largest score
            decision_function_shape="ovr",
            break_ties=True,
            # it decides nothing, but without one libsvm is seeded from NumPy's global generator
            random_state=self._seed,
        ).fit(X, y)
        self.classes_: NDArray[np.int64] = self._svc.classes_
        self.support_vectors = len(self._svc.support_)
        return self

    def decision_function(self, X: Matrix) -> Matrix:
        """Scores [N, K], or [N] of two classes."""
        scores: Matrix = self._svc.decision_function(X)
        return scores


class SvmTrainer(ClassicalTrainer):
    """Support vector machines. Their scores are distances, and no probabilities."""

    def weight(self, spec: SvmSpec, stage: TrainedStage) -> float:
        """A fit of some thousand windows takes about as long as so many steps of SCMM's fine-tuning."""
        return 100.0

    def estimator(self, spec: SvmSpec, seed: int) -> RbfSvm | LinearSVC:
        """With the kernel of the settings; the seed is for liblinear, which draws where rows are fewer than features.

        Linear: min over w, w₀ of ‖(w, w₀)‖² / 2 + C Σ_i max(0, 1 − t_i (w·x_i + w₀))², t = ±1, for each class.
        """
        class_weight = None if spec.class_weight == "none" else spec.class_weight
        if spec.kernel == "rbf":
            return RbfSvm(spec, class_weight, seed)
        return LinearSVC(
            C=spec.c,
            class_weight=class_weight,
            tol=spec.tolerance,
            max_iter=spec.max_iterations,
            random_state=seed,
        )
