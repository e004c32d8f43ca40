"""From logits to probabilities and to the windows that were told right."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def probabilities(logits: NDArray[np.floating]) -> NDArray[np.float64]:
    """Softmax over the last axis, in float64.

    Parameters
    ----------
    logits : array, shape=(..., classes)
    """
    # the largest logit is subtracted so that no exponential overflows
    shifted = logits.astype(np.float64) - logits.max(axis=-1, keepdims=True)
    exponentials = np.exp(shifted)
    result: NDArray[np.float64] = exponentials / exponentials.sum(axis=-1, keepdims=True)
    return result


def share_right(label: NDArray[np.int64], logits: NDArray[np.floating]) -> float:
    """Accuracy over all windows."""
    return float(np.mean(logits.argmax(axis=-1) == label))


def mean_of_batches(label: NDArray[np.int64], logits: NDArray[np.floating], batch_size: int) -> float:
    """Mean of the batches' accuracies, in row order, the last batch counting like the others however small it is."""
    right = logits.argmax(axis=-1) == label
    return float(np.mean([right[start : start + batch_size].mean() for start in range(0, len(right), batch_size)]))
