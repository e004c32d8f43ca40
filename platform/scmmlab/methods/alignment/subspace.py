"""Subspace alignment: source and target on their own principal axes, the source's turned onto the target's.

    X_s' = (X_s − μ_s) P_s P_sᵀ P_t,    X_t' = (X_t − μ_t) P_t

Fernando, Habrard, Sebban and Tuytelaars (2013), doi:10.1109/ICCV.2013.368.

| symbol | meaning |
|---|---|
| N, P, D | windows, features, dimensions |
| P_s, P_t | the D principal axes of each side, [P, D] |
"""

from __future__ import annotations

import numpy as np

from scmmlab.errors import TrainingError
from scmmlab.methods.alignment.maps import Map, Maps, Matrix


def subspace(source_NP: Matrix, target_NP: Matrix, components: int) -> Maps:
    """The maps of both sides to D dimensions.

    Parameters
    ----------
    source_NP, target_NP : array, shape=(N, P)
        Windows of each side.
    components : int
        D.

    Raises
    ------
    TrainingError
        If a side has fewer axes.
    """
    most = min(source_NP.shape[1], len(source_NP) - 1, len(target_NP) - 1)
    check_components(components, most, "of features, and of windows of source and of target less one")
    axes_s_PD, axes_t_PD = _axes(source_NP, components), _axes(target_NP, components)
    return Maps(
        _projection(source_NP.mean(axis=0), axes_s_PD @ (axes_s_PD.T @ axes_t_PD)),
        _projection(target_NP.mean(axis=0), axes_t_PD),
    )


def check_components(components: int, most: int, of_what: str) -> None:
    """Refuse a space of more dimensions than there are.

    Raises
    ------
    TrainingError
        That says how many there are.
    """
    if components > most:
        raise TrainingError(
            f"'alignment.components' must be at most the number {of_what}, here {most}, got {components}.",
            hint="lower alignment.components.",
        )


def _axes(x_NP: Matrix, components: int) -> Matrix:
    """The principal axes [P, D], each with its largest entry positive, since either direction would do."""
    centred_NP = x_NP - x_NP.mean(axis=0)
    _, vector_PP = np.linalg.eigh(centred_NP.T @ centred_NP)
    axes_PD = vector_PP[:, ::-1][:, :components]
    largest_D = axes_PD[np.abs(axes_PD).argmax(axis=0), np.arange(components)]
    axes: Matrix = axes_PD * np.sign(largest_D)
    return axes


def _projection(mean_P: Matrix, axes_PD: Matrix) -> Map:
    return lambda x_NP: (x_NP - mean_P) @ axes_PD
