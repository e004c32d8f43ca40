"""A convolution over a handful of points as one small dense matrix.

A signal of 5 points under a kernel of 8 makes each convolution a linear map of all its input numbers: gather the
kernel into a Toeplitz matrix and use one batched multiplication.

Legend: R replica, O and I output and input channels, T and S output and input points.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad

from scmmlab.model.parameters import KERNEL, PADDING, conv_length


def toeplitz(weight_ROIK: Tensor, points: int) -> Tensor:
    """The matrix of ``conv1d(kernel 8, padding 4, no bias)`` on signals of `points` points.

    Returns
    -------
    Tensor, shape=(R, O·T, I·S)
        Channel-major on both sides.
    """
    replicas, outputs, inputs, _ = weight_ROIK.shape
    # y[o, t] = Σ_i Σ_s w[o, i, s − t + 4] x[i, s]: for an output point the taps are a window of the (padded) kernel
    lengths = conv_length(points)
    left = max(0, lengths - 1 - PADDING)
    right = max(0, points - 1 + PADDING - (KERNEL - 1))
    taps = pad(weight_ROIK, (left, right))
    windows = [taps[..., left + PADDING - t : left + PADDING - t + points].unsqueeze(2) for t in range(lengths)]
    return torch.cat(windows, dim=2).reshape(replicas, outputs * lengths, inputs * points)
