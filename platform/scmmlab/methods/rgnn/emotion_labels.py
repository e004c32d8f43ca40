"""EmotionDL: a label as a distribution over emotions that are near to it (Zhong et al. 2020)."""

from __future__ import annotations

import torch
from torch import Tensor


def soft_labels(classes: int, noise: float) -> Tensor:
    """What stands for each label, float64 [K, K]: row k is the distribution of class k.

    Of three classes (negative, neutral, positive) neutral is near to both others; of four (neutral, sad, fear, happy)
    neutral and fear are near to all, sad and happy are not near to each other. With another number of classes, or
    without noise, a label is itself; two classes get no noise.

    Parameters
    ----------
    classes : int
        K.
    noise : float
        ε.
    """
    if classes not in (3, 4) or noise == 0:
        return torch.eye(classes, dtype=torch.float64)
    e, t = noise / classes, noise / 3
    rows = {
        3: [[1 - 2 * e, 2 * e, 0], [e, 1 - 2 * e, e], [0, 2 * e, 1 - 2 * e]],
        4: [[1 - 3 * e, e, e, e], [t, 1 - 2 * t, t, 0], [e, e, 1 - 3 * e, e], [t, 0, t, 1 - 2 * t]],
    }
    return torch.tensor(rows[classes], dtype=torch.float64)
