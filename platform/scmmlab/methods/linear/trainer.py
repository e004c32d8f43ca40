"""Logistic regression by scikit-learn."""

from __future__ import annotations

from sklearn.linear_model import LogisticRegression

from scmmlab.config.experiment import TrainedStage
from scmmlab.methods.classical.trainer import ClassicalTrainer
from scmmlab.methods.linear.spec import LinearSpec


class LinearTrainer(ClassicalTrainer):
    """Fits W and b of softmax(W x + b)."""

    def weight(self, spec: LinearSpec, stage: TrainedStage) -> float:
        """A fit of some thousand windows takes about as long as so many steps of SCMM's fine-tuning."""
        return 20.0

    def estimator(self, spec: LinearSpec, seed: int) -> LogisticRegression:
        """Min over W, b of C Σ_i v_i CE(softmax(W x_i + b), y_i) + ‖W‖² / 2, v the class weights.

        For two classes W has one row, the second one's, and softmax is the logistic function. The solvers draw nothing,
        so the seed is not used.
        """
        return LogisticRegression(
            C=spec.c,
            class_weight=None if spec.class_weight == "none" else spec.class_weight,
            solver="lbfgs" if spec.solver == "lbfgs" else "newton-cholesky",
            tol=spec.tolerance,
            max_iter=spec.max_iterations,
        )
