"""A convolution over a handful of points as one small dense matrix.

A signal of 5 points under a kernel of 8 makes each convolution a linear map of all its input numbers: lay the kernel
out as a Toeplitz matrix, and one batched multiplication does the work of many short convolutions.

Legend: R replica, O and I output and input channels, T and S output and input points, K the 8 taps of a kernel, B and Y
are R·O and T·S.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from scmmlab.model.pooling import pooling_order
from scmmlab.model.shape import KERNEL, PADDING, conv_length


@lru_cache
def _placement(points: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    """1 where a tap takes an input point to an output point, and 0 elsewhere, [T·S, K].

    y[o, t] = Σ_i Σ_s w[o, i, s − t + 4] x[i, s]
    """
    placement = torch.zeros(conv_length(points), points, KERNEL, device=device, dtype=dtype)
    for row, t in enumerate(pooling_order(conv_length(points))):
        for s in range(points):
            if 0 <= s - t + PADDING < KERNEL:
                placement[row, s, s - t + PADDING] = 1
    return placement.flatten(0, 1)


def toeplitz(weight_ROIK: Tensor, points: int) -> Tensor:
    """The matrix of ``Conv1d(kernel 8, padding 4, no bias)`` on signals of `points` points.

    Parameters
    ----------
    weight_ROIK : Tensor, shape=(R, O, I, 8)
        Kernels; fastest where they lie tap-major in memory, as (R, O, 8, I).
    points : int
        S.

    Returns
    -------
    Tensor, shape=(R, O·T, S·I)
        With T = S + 1. Rows are the points of each output channel in turn, in `pooling_order`; columns are the channels
        of each input point.
    """
    placement = _placement(points, weight_ROIK.device, weight_ROIK.dtype)
    # by ones and zeros: exact
    kernels_BKI = weight_ROIK.transpose(2, 3).flatten(0, 1)
    matrix_BYI = torch.bmm(placement.expand(len(kernels_BKI), -1, -1), kernels_BKI)
    return matrix_BYI.view(len(weight_ROIK), -1, points * weight_ROIK.shape[2])


def toeplitz_adjoint(matrix_RFK: Tensor, outputs: int, points: int) -> Tensor:
    """The gradient of the kernels, [R, O, I, 8], from that of their `toeplitz` matrix."""
    placement = _placement(points, matrix_RFK.device, matrix_RFK.dtype)
    matrix_BYI = matrix_RFK.view(len(matrix_RFK) * outputs, len(placement), -1)
    kernels_BKI = torch.bmm(placement.T.expand(len(matrix_BYI), -1, -1), matrix_BYI)
    return kernels_BKI.view(-1, outputs, *kernels_BKI.shape[1:]).transpose(2, 3)
