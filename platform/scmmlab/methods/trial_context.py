"""What a classifier is shown: each window by itself, or all windows of a trial.

A context is made of the windows of one trial in one part of one fold. No other trial, no other part and no label has
anything to do with it.

| symbol | meaning |
|---|---|
| N, T | windows and trials of a part |
| P, K | features, classes |
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Context = Literal["window", "trial_mean", "vote"]


class Part:
    """A part of a fold as a classifier is shown it.

    Parameters
    ----------
    x_NP : array of float64, shape=(N, P)
        Its windows, scaled.
    trial_N : array of int64, shape=(N,)
        Which trial each is of.
    context : {"window", "trial_mean", "vote"}
        `trial_mean`: the rows are the means over a trial's windows, and each window gets the prediction of its trial.
        Else the rows are the windows; with `vote`, each window gets the mean log-probability over its trial.

    Attributes
    ----------
    x : array of float64, shape=(N or T, P)
        The rows to fit or to predict.
    """

    def __init__(self, x_NP: NDArray[np.float64], trial_N: NDArray[np.int64], context: Context):
        self._context = context
        # where each trial's first window is, and the trial's number in the part
        _, self._first_T, self._place_N = np.unique(trial_N, return_index=True, return_inverse=True)
        self.x = self._means(x_NP) if context == "trial_mean" else x_NP

    def labels(self, label_N: NDArray[np.int64]) -> NDArray[np.int64]:
        """The label of each row, from those of the windows."""
        if self._context != "trial_mean":
            return label_N
        label_T = label_N[self._first_T]
        assert (label_T[self._place_N] == label_N).all(), "a feature table has one label for each trial"
        return label_T

    def of_windows(self, logits: NDArray[np.float32]) -> NDArray[np.float32]:
        """Logits of each window [N, K], from those of the rows."""
        if self._context == "window":
            return logits
        if self._context == "trial_mean":
            return logits[self._place_N]
        # log p_k(trial) = mean over its windows of log softmax_k; the largest logit is taken off so that no
        # exponential overflows
        shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True, initial=-np.inf)
        log_probability_NK = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
        return self._means(log_probability_NK)[self._place_N].astype(np.float32)

    def _means(self, values: NDArray[np.float64]) -> NDArray[Any]:
        """Means over the windows of each trial, [T, ...]."""
        if not len(values):
            return values
        # sums of each trial's windows alone, in their order: another trial changes no bit of them
        order = np.argsort(self._place_N, kind="stable")
        count_T = np.bincount(self._place_N)
        starts = np.concatenate(([0], np.cumsum(count_T)[:-1]))
        sums: NDArray[np.float64] = np.add.reduceat(values[order], starts, axis=0)
        return sums / count_T[:, None]
