"""A convolution over a handful of points as one small dense matrix.

A signal of 5 points under a kernel of 8 makes each convolution a linear map of all its input numbers: lay the kernel
out as a Toeplitz matrix, and one batched multiplication does the work of many short convolutions. On a CPU taps are
copied to their places, and their gradients added up in the order of places. A GPU would add in any order, so there
both are products with a matrix of ones and zeros, which gives the same numbers.

Legend: R replica, O and I output and input channels, T and S output and input points, K the 8 taps of a kernel, Q is
T·S, the places of an output point's taps; B and Y are R·O and T·S.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from scmmlab.replica.pooling import pooling_order

KERNEL, PADDING = 8, 4


def conv_length(points: int) -> int:
    """Points after a convolution of kernel 8 and padding 4."""
    return points + 2 * PADDING - KERNEL + 1


@lru_cache
def _taps(points: int) -> tuple[Tensor, tuple[int, ...]]:
    """The tap that takes each input point to each output point, [Q], and the places that no tap reaches.

    y[o, t] = Σ_i Σ_s w[o, i, s − t + 4] x[i, s]
    """
    taps = [s - t + PADDING for t in pooling_order(conv_length(points)) for s in range(points)]
    outside = tuple(place for place, tap in enumerate(taps) if not 0 <= tap < KERNEL)
    # places that no tap reaches copy some tap too, as an index must be one; callers set them to 0
    return torch.tensor([min(max(tap, 0), KERNEL - 1) for tap in taps]), outside


@lru_cache
def _placement(points: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    """1 where a tap takes an input point to an output point, and 0 elsewhere, [T·S, K]."""
    index, outside = _taps(points)
    placement = torch.nn.functional.one_hot(index, KERNEL)
    placement[list(outside)] = 0
    return placement.to(device, dtype)


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
    if weight_ROIK.device.type == "cpu":
        index, outside = _taps(points)
        matrix_ROQI = weight_ROIK.transpose(2, 3).index_select(2, index)
        for place in outside:
            matrix_ROQI.select(2, place).zero_()
        return matrix_ROQI.view(len(weight_ROIK), -1, points * weight_ROIK.shape[2])
    placement = _placement(points, weight_ROIK.device, weight_ROIK.dtype)
    kernels_BKI = weight_ROIK.transpose(2, 3).flatten(0, 1)
    matrix_BYI = torch.bmm(placement.expand(len(kernels_BKI), -1, -1), kernels_BKI)
    return matrix_BYI.view(len(weight_ROIK), -1, points * weight_ROIK.shape[2])


def toeplitz_adjoint(matrix_RFK: Tensor, outputs: int, points: int) -> Tensor:
    """The gradient of the kernels, [R, O, I, 8], from that of their `toeplitz` matrix, which may be overwritten."""
    if matrix_RFK.device.type == "cpu":
        index, outside = _taps(points)
        matrix_ROQI = matrix_RFK.view(len(matrix_RFK), outputs, len(index), -1)
        for place in outside:
            matrix_ROQI.select(2, place).zero_()
        kernels_ROKI = matrix_RFK.new_zeros(*matrix_ROQI.shape[:2], KERNEL, matrix_ROQI.shape[3])
        return kernels_ROKI.index_add_(2, index, matrix_ROQI).transpose(2, 3)
    placement = _placement(points, matrix_RFK.device, matrix_RFK.dtype)
    matrix_BYI = matrix_RFK.view(len(matrix_RFK) * outputs, len(placement), -1)
    kernels_BKI = torch.bmm(placement.T.expand(len(matrix_BYI), -1, -1), matrix_BYI)
    return kernels_BKI.view(-1, outputs, *kernels_BKI.shape[1:]).transpose(2, 3)
