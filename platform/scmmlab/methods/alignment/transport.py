"""Optimal transport: each window of the source becomes the mean of the target's windows that it is sent to, by POT.

    min over T of  ⟨T, M⟩ + ε Σ T log T + η Σ_jc (Σ_{i of class c} T_ij)^½    rows of T sum to 1/n_s, columns to 1/n_t
    x_i' = n_s Σ_j T_ij x_j

Courty, Flamary, Tuia and Rakotomamonjy (2017), doi:10.1109/TPAMI.2016.2615921.

| symbol | meaning |
|---|---|
| N, n, P | windows; those of either side that the plan is computed from; features |
| M | squared distances from source to target over their median |
| ε, η | weights of the entropy and of the classes |
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scmmlab.errors import TrainingError
from scmmlab.methods.alignment.maps import Maps, Matrix, as_it_is

TOLERANCE = 1e-7
"""By how much the plan's sums may be off, as a vector's length."""
LOG_ITERATIONS, ITERATIONS = 2000, 20_000
"""The most of Sinkhorn's algorithm in the logarithmic domain, and of the plain one, whose steps are quicker, in each
step of the majorisation for classes."""


def transport(
    source_nP: Matrix, label_n: NDArray[np.int64], target_nP: Matrix, epsilon: float, class_penalty: float
) -> Maps:
    """The map of the source; windows of the target stay as they are.

    A window of the source that the plan was not computed from goes where the plan's potential sends it (Pooladian and
    Niles-Weed 2021, arXiv:2109.12004), or with a class penalty as far and as its nearest neighbour of those that it was
    computed from (Ferradans et al. 2014, SIAM Journal on Imaging Sciences 7(3)).

    Parameters
    ----------
    source_nP, target_nP : array, shape=(n, P)
        Windows of each side.
    label_n : array of int64, shape=(n,)
        Classes of the source's; looked at with a class penalty alone.
    epsilon, class_penalty : float
        ε and η.

    Raises
    ------
    TrainingError
        If Sinkhorn's algorithm does not converge.
    """
    from ot import da  # with PyTorch and scikit-learn, so that only those wait for it who use it

    shared: dict[str, Any] = {"reg_e": epsilon, "metric": "sqeuclidean", "norm": "median", "tol": TOLERANCE}
    if class_penalty:
        plan = da.SinkhornLpl1Transport(**shared, reg_cl=class_penalty, max_inner_iter=ITERATIONS)
    else:
        plan = da.SinkhornTransport(
            **shared, max_iter=LOG_ITERATIONS, method="sinkhorn_log", out_of_sample_map="continuous"
        )
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        warnings.simplefilter("error", RuntimeWarning)
        try:
            plan.fit(Xs=source_nP, ys=label_n, Xt=target_nP)
        except (UserWarning, RuntimeWarning) as warning:
            raise TrainingError(
                f"Optimal transport must converge, but with 'alignment.epsilon' {epsilon:g} POT says: "
                f"{' '.join(str(warning).split()).rstrip('.')}.",
                hint="raise alignment.epsilon, or lower alignment.class_penalty.",
            ) from warning

    def sent(x_NP: Matrix) -> Matrix:
        moved_NP: Matrix = plan.transform(Xs=x_NP)
        if not np.isfinite(moved_NP).all():
            raise TrainingError(
                f"A window lies so far from the target's that optimal transport with 'alignment.epsilon' {epsilon:g} "
                "sends it nowhere.",
                hint="raise alignment.epsilon.",
            )
        return moved_NP

    return Maps(sent, as_it_is)
