"""CORAL: the source's windows get the target's covariance, and its mean if wanted.

    X_s' = (X_s − μ_s) C_s^-½ C_t^½ + μ      μ = μ_t, or μ_s where only covariances are aligned

Sun, Feng and Saenko (2016), arXiv:1511.05547.

| symbol | meaning |
|---|---|
| N, P | windows, features |
| C | (1 − ρ) covariance (divided by N) + ρ I |
"""

from __future__ import annotations

import numpy as np

from scmmlab.errors import TrainingError
from scmmlab.methods.alignment.maps import Map, Maps, Matrix, as_it_is


def coral(source_NP: Matrix, target_NP: Matrix, rho: float, to_target_mean: bool) -> Maps:
    """The map of the source; windows of the target stay as they are.

    Parameters
    ----------
    source_NP, target_NP : array, shape=(N, P)
        Windows of each side.
    rho : float
        Share of the identity in both covariances.
    to_target_mean : bool
        Whether the source's windows get the target's mean.

    Raises
    ------
    TrainingError
        If the source's covariance cannot be inverted.
    """
    mean_P = source_NP.mean(axis=0)
    to_P = target_NP.mean(axis=0) if to_target_mean else mean_P
    a_PP = _power(_covariance(source_NP, rho), -0.5) @ _power(_covariance(target_NP, rho), 0.5)
    return Maps(_affine(mean_P, a_PP, to_P), as_it_is)


def _affine(mean_P: Matrix, a_PP: Matrix, to_P: Matrix) -> Map:
    return lambda x_NP: (x_NP - mean_P) @ a_PP + to_P


def _covariance(x_NP: Matrix, rho: float) -> Matrix:
    """(1 − ρ) C + ρ I."""
    centred_NP = x_NP - x_NP.mean(axis=0)
    covariance_PP: Matrix = (1 - rho) * (centred_NP.T @ centred_NP) / len(x_NP)
    covariance_PP[np.diag_indices_from(covariance_PP)] += rho
    return covariance_PP


def _power(covariance_PP: Matrix, exponent: float) -> Matrix:
    """V diag(λ^exponent) Vᵀ of a symmetric matrix with eigenvalues λ and eigenvectors V."""
    value_P, vector_PP = np.linalg.eigh(covariance_PP)
    if exponent < 0:
        # an eigenvalue within rounding of 0 may come out as any small number, and its inverse as any large one
        least = np.finfo(np.float64).eps * len(value_P) * value_P[-1]
        if value_P[0] <= least:
            raise TrainingError(
                f"CORAL needs a covariance of the source that can be inverted, but its smallest eigenvalue is "
                f"{value_P[0]:.2g} and its largest {value_P[-1]:.2g}: there are fewer windows than features, or some "
                "features follow from others.",
                hint="raise alignment.rho.",
            )
    # of the target's, one that is rounded below 0 is 0
    power_PP: Matrix = (vector_PP * np.maximum(value_P, 0.0) ** exponent) @ vector_PP.T
    return power_PP
