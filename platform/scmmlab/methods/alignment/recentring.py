"""Re-centring: each subject's windows are moved so that the subject's mean is that of the fine-tune part.

    x' = x − m_s + m            and, with scale, x' = (x − m_s) σ / σ_s + m

He and Wu (2020), doi:10.1109/TBME.2019.2913914, do so with the covariance of raw trials (Euclidean alignment); this is
its counterpart for features that are no signals.

| symbol | meaning |
|---|---|
| N, P | windows, features |
| m, σ | mean and standard deviation of the fine-tune part |
| m_s, σ_s | the same of the windows that stand for a subject |
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scmmlab.methods.alignment.maps import Matrix


@dataclass(frozen=True)
class Moments:
    """Of windows, feature by feature."""

    mean_P: Matrix
    sd_P: Matrix
    """Divided by n; 1 where all windows have one value, so that it can be divided by."""

    @classmethod
    def of(cls, x_NP: Matrix) -> Moments:
        """The moments of these windows."""
        # the standard deviation of equal numbers is not exactly 0 where their mean is rounded
        return cls(x_NP.mean(axis=0), np.where(np.ptp(x_NP, axis=0) == 0, 1.0, x_NP.std(axis=0)))


def by_subject(x_NP: Matrix, subject_N: NDArray[np.int64]) -> dict[int, Moments]:
    """The moments of each subject's own windows."""
    return {int(subject): Moments.of(x_NP[subject_N == subject]) for subject in np.unique(subject_N)}


def recentred(
    x_NP: Matrix, subject_N: NDArray[np.int64], own: Mapping[int, Moments], to: Moments, scale: bool
) -> Matrix:
    """Windows with each subject's moments taken off and those of `to` put on.

    Parameters
    ----------
    x_NP : array, shape=(N, P)
        Windows, of any number of subjects.
    subject_N : array of int64, shape=(N,)
        Whose each is.
    own : mapping of int to Moments
        Of each subject.
    to : Moments
        Of the fine-tune part.
    scale : bool
        Whether standard deviations are exchanged, too.
    """
    moved_NP = np.empty_like(x_NP)
    for subject in np.unique(subject_N):
        rows, theirs = subject_N == subject, own[int(subject)]
        deviation = x_NP[rows] - theirs.mean_P
        moved_NP[rows] = (deviation * (to.sd_P / theirs.sd_P) if scale else deviation) + to.mean_P
    return moved_NP
