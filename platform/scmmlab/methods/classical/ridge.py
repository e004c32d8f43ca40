"""Ridge regression of the classes, as a classifier.

| symbol | meaning |
|---|---|
| N, P, K | rows, features, columns of targets |
| v | weight of each row |
| t | targets: +1 for a row's own class, −1 for others; with two classes, the second one's column alone |
"""

from __future__ import annotations

import torch
from torch import Tensor

from scmmlab.config.experiment import TrainedStage
from scmmlab.methods.classical.closed_form import ClosedForm, ClosedFormTrainer, LinearSystem
from scmmlab.methods.classical.spec import RidgeSpec


class Ridge(ClosedForm):
    """Min over w, w₀ of Σ_i v_i ‖t_i − w·x_i − w₀‖² + α ‖w‖², as scikit-learn's RidgeClassifier."""

    def __init__(self, alpha: float, balanced: bool, device: torch.device | str = "cpu"):
        super().__init__(device)
        self._alpha, self._balanced = alpha, balanced

    def system(self, x_NP: Tensor, member_NK: Tensor) -> LinearSystem:
        """(XᵀVX + αI) w = XᵀVT, X and T less their weighted means."""
        t_NK = 2 * member_NK - 1
        if t_NK.shape[1] == 2:
            t_NK = t_NK[:, 1:]
        # v_i = N / (K n_k), k the class of row i; or 1
        weight_K = len(x_NP) / (member_NK.shape[1] * member_NK.sum(0))
        v_N1 = member_NK @ weight_K[:, None] if self._balanced else x_NP.new_ones(len(x_NP), 1)
        self._x_mean_P, self._t_mean_K = ((v_N1 * each).sum(0) / v_N1.sum() for each in (x_NP, t_NK))
        x_NP, t_NK = x_NP - self._x_mean_P, t_NK - self._t_mean_K
        a_PP = x_NP.T @ (v_N1 * x_NP)
        a_PP.diagonal().add_(self._alpha)
        return LinearSystem(a_PP, x_NP.T @ (v_N1 * t_NK))

    def intercept(self, w_PK: Tensor) -> Tensor:
        """Constants w₀ = t̄ − w·x̄."""
        return self._t_mean_K - self._x_mean_P @ w_PK


class RidgeTrainer(ClosedFormTrainer):
    """Ridge regression."""

    def weight(self, spec: RidgeSpec, stage: TrainedStage) -> float:
        """A fit of some thousand windows takes about as long as so many steps of SCMM's fine-tuning."""
        return 3.0

    def estimator(self, spec: RidgeSpec, seed: int) -> Ridge:
        """With the penalty and the class weights of the settings."""
        return Ridge(spec.alpha, spec.class_weight == "balanced")
