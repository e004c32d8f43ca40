"""Linear discriminant analysis with a shrunken covariance.

Ledoit and Wolf (2004), doi:10.1016/S0047-259X(03)00096-4, say how far a covariance is to be shrunken.

| symbol | meaning |
|---|---|
| N, n, P, K | rows, rows of a class, features, classes |
| μ_k, Σ_k, π_k | mean, covariance (divided by n) and prior probability of class k |
| γ | shrinkage, from 0 to 1 |
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from scmmlab.config.experiment import TrainedStage
from scmmlab.methods.classical.closed_form import ClosedForm, ClosedFormTrainer, LinearSystem
from scmmlab.methods.classical.spec import LdaSpec


class Lda(ClosedForm):
    """Scores log π_k − ½ μ_k·Σ⁻¹ μ_k + x·Σ⁻¹ μ_k, with Σ = Σ_k π_k Σ_k, each Σ_k shrunken.

    The scores' softmax are probabilities. As scikit-learn's LinearDiscriminantAnalysis with solver 'lsqr', but for an
    amount that all classes of a window share: x and μ_k are taken from the mean of all rows, so that scores stay small
    where the features' means are not.
    """

    def __init__(self, shrinkage: float | Literal["auto"], balanced: bool, device: torch.device | str = "cpu"):
        super().__init__(device)
        self._shrinkage, self._balanced = shrinkage, balanced

    def system(self, x_NP: Tensor, member_NK: Tensor) -> LinearSystem:
        """Σ w_k = μ_k − μ, with μ the mean of all rows."""
        count_K = member_NK.sum(0)
        self._prior_K = torch.full_like(count_K, 1 / len(count_K)) if self._balanced else count_K / len(x_NP)
        means, pooled_PP = [], x_NP.new_zeros(x_NP.shape[1], x_NP.shape[1])
        for prior, own_N in zip(self._prior_K, member_NK.bool().T, strict=True):
            x_nP = x_NP[own_N]
            means.append(x_nP.mean(0))
            pooled_PP += prior * _shrunken_covariance(x_nP - means[-1], means[-1], self._shrinkage)
        self._mean_P = x_NP.mean(0)
        self._offset_PK = torch.stack(means, dim=1) - self._mean_P[:, None]
        return LinearSystem(pooled_PP, self._offset_PK)

    def intercept(self, w_PK: Tensor) -> Tensor:
        """Constants log π_k − ½ (μ_k − μ)·w_k − μ·w_k."""
        return self._prior_K.log() - 0.5 * (self._offset_PK * w_PK).sum(0) - self._mean_P @ w_PK


def _shrunken_covariance(centred_nP: Tensor, mean_P: Tensor, shrinkage: float | Literal["auto"]) -> Tensor:
    """A class's covariance, shrunken."""
    if shrinkage != "auto":
        covariance_PP = centred_nP.T @ centred_nP / len(centred_nP)
        return _towards_identity(covariance_PP, torch.as_tensor(shrinkage, dtype=covariance_PP.dtype))
    # features are standardised within the class, so that their units change nothing
    n, eps = len(centred_nP), torch.finfo(centred_nP.dtype).eps
    variance_P = centred_nP.square().mean(0)
    # a variance that is rounding is that of a constant, which is not blown up
    constant_P = variance_P <= n * eps * variance_P + (n * mean_P * eps).square()
    deviation_P = torch.where(constant_P, 1.0, variance_P.sqrt())
    z_nP = centred_nP / deviation_P
    covariance_PP = z_nP.T @ z_nP / n
    shrunken_PP = _towards_identity(covariance_PP, _ledoit_wolf(z_nP, covariance_PP))
    return deviation_P[:, None] * shrunken_PP * deviation_P


def _towards_identity(covariance_PP: Tensor, shrinkage: Tensor) -> Tensor:
    """(1 − γ) Σ + γ (tr Σ / P) I."""
    shrunken_PP = (1 - shrinkage) * covariance_PP
    shrunken_PP.diagonal().add_(shrinkage * covariance_PP.trace() / len(covariance_PP))
    return shrunken_PP


def _ledoit_wolf(z_nP: Tensor, covariance_PP: Tensor) -> Tensor:
    """The shrinkage γ = min(β, δ) / δ.

    δ = ‖Σ − m I‖² / P with m = tr Σ / P: how far Σ is from what it is shrunken to.
    β = Σ_i ‖z_i z_iᵀ − Σ‖² / (n² P): how uncertain it is. ‖·‖ is Frobenius' norm.
    """
    n, p = z_nP.shape
    squared = covariance_PP.square().sum() / p
    delta = squared - (covariance_PP.trace() / p).square()
    # Σ_i ‖z_i z_iᵀ − Σ‖² = Σ_i ‖z_i‖⁴ − n ‖Σ‖²
    beta = (z_nP.square().sum(1).square().sum() / (n * p) - squared) / n
    # where the class's rows are all equal, or there is one feature, there is nothing to shrink
    least = torch.minimum(beta, delta)
    return torch.where(least == 0, 0.0, least / delta)


class LdaTrainer(ClosedFormTrainer):
    """Linear discriminant analysis."""

    def weight(self, spec: LdaSpec, stage: TrainedStage) -> float:
        """A fit of some thousand windows takes about as long as so many steps of SCMM's fine-tuning."""
        return 3.0

    def estimator(self, spec: LdaSpec, seed: int) -> Lda:
        """With the shrinkage and the priors of the settings."""
        return Lda(spec.shrinkage, spec.class_weight == "balanced")
