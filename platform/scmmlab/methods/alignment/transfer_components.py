"""Transfer component analysis: directions of a kernel's space with much variance and little distance of the two means.

    max over W of tr(WᵀKHKW)   so that   Wᵀ(KLK + μI)W is diagonal:   KHK w = λ (KLK + μI) w,   x' = k(x, X) W

Pan, Tsang, Kwok and Yang (2011), doi:10.1109/TNN.2010.2091281. Here each component has variance 1 over the windows that
it was computed from.

| symbol | meaning |
|---|---|
| N, n, P, D | windows; those of either side that it is computed from, X; features; dimensions |
| K | exp(−γ ‖x − x'‖²) of all pairs in X, γ = 1 / (P · variance of all values of X), [n, n] |
| L | e eᵀ, e = 1/n_s for the source's windows, −1/n_t for the target's: wᵀKLKw is the means' squared distance |
| H | I − 1 1ᵀ / n: wᵀKHKw is n times the variance |
"""

from __future__ import annotations

import numpy as np
import scipy.linalg
from sklearn.metrics.pairwise import rbf_kernel

from scmmlab.errors import TrainingError
from scmmlab.methods.alignment.maps import Maps, Matrix
from scmmlab.methods.alignment.subspace import check_components


def transfer_components(source_nP: Matrix, target_nP: Matrix, components: int, mu: float) -> Maps:
    """The map, the same for both sides, to D dimensions.

    Parameters
    ----------
    source_nP, target_nP : array, shape=(n, P)
        Windows of each side, not so many that K would be too large.
    components : int
        D.
    mu : float
        μ.

    Raises
    ------
    TrainingError
        If the windows spread in fewer dimensions.
    """
    x_nP = np.concatenate((source_nP, target_nP))
    n = len(x_nP)
    check_components(components, n - 1, "of windows that TCA is computed from less one")
    gamma = 1 / (x_nP.shape[1] * (float(x_nP.var()) or 1.0))
    k_nn = rbf_kernel(x_nP, gamma=gamma)
    e_n = np.concatenate((np.full(len(source_nP), 1 / len(source_nP)), np.full(len(target_nP), -1 / len(target_nP))))
    distance_n, centred_nn = k_nn @ e_n, k_nn - k_nn.mean(axis=0)
    within_nn = np.outer(distance_n, distance_n)
    within_nn[np.diag_indices_from(within_nn)] += mu
    variance_D, w_nD = scipy.linalg.eigh(
        centred_nn.T @ centred_nn, within_nn, subset_by_index=(n - components, n - 1), check_finite=False
    )
    if variance_D[0] <= np.finfo(np.float64).eps * n * variance_D[-1]:
        raise TrainingError(
            "'alignment.components' must be at most the dimensions that the windows spread in, but the last of "
            f"{components} has a variance of {variance_D[0]:.2g} where the first has {variance_D[-1]:.2g}.",
            hint="lower alignment.components.",
        )
    # largest first; wᵀKHKw = λ, and n times the variance is to be n
    w_nD = w_nD[:, ::-1] * np.sqrt(n / variance_D[::-1])
    largest_D = w_nD[np.abs(w_nD).argmax(axis=0), np.arange(components)]
    w_nD *= np.sign(largest_D)

    def embedded(x_NP: Matrix) -> Matrix:
        components_ND: Matrix = rbf_kernel(x_NP, x_nP, gamma=gamma) @ w_nD
        return components_ND

    return Maps(embedded, embedded)
