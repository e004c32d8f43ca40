"""A convolution over a handful of points as one small dense matrix.

A signal of 5 points under a kernel of 8 makes each convolution a linear map of all its input numbers: lay the kernel
out as a Toeplitz matrix, and one batched multiplication does the work of many short convolutions.

Legend: R replica, O and I output and input channels, T and S output and input points, K kernel taps.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor
from torch.nn.functional import pad

from scmmlab.model.shape import KERNEL, PADDING, conv_length


def _span(points: int) -> tuple[int, int]:
    """Zeros to put on both sides of the taps, and the first of the padded taps that meets the input.

    y[o, t] = Σ_i Σ_s w[o, i, s − t + 4] x[i, s], so tap s − t + 4 runs from 5 − T to S + 3, and T = S + 1.
    """
    zeros = max(0, points + PADDING - KERNEL)
    return zeros, zeros + PADDING - points


def toeplitz(weight_ROIK: Tensor, points: int, channel_major: bool) -> Tensor:
    """The matrix of ``Conv1d(kernel 8, padding 4, no bias)`` on signals of `points` points.

    Parameters
    ----------
    weight_ROIK : Tensor, shape=(R, O, I, 8)
        Kernels; fastest where they lie tap-major in memory, as (R, O, 8, I).
    points : int
        S.
    channel_major : bool
        Order of the input's numbers: the points of each channel in turn, or the channels of each point in turn.

    Returns
    -------
    Tensor, shape=(R, O·T, I·S)
        The T = S + 1 points of each output channel in turn, **from last to first**: then all strides from taps to
        matrix are positive, and one copy lays it out.
    """
    replicas, outputs, inputs, _ = weight_ROIK.shape
    zeros, first = _span(points)
    taps_ROKI = weight_ROIK.transpose(2, 3)
    if zeros:
        taps_ROKI = pad(taps_ROKI, (0, 0, zeros, zeros))
    length = conv_length(points)
    windows_ROTIS = taps_ROKI[:, :, first : first + points + length - 1].unfold(2, points, 1)
    if not channel_major:
        windows_ROTIS = windows_ROTIS.transpose(3, 4)
    return windows_ROTIS.reshape(replicas, outputs * length, inputs * points)


@lru_cache
def _taps_of_windows(points: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    """Which tap each number of an output point's window is: 1 there and 0 elsewhere, [8, T·S]."""
    zeros, first = _span(points)
    length = conv_length(points)
    taps = torch.zeros(KERNEL + 2 * zeros, length, points, device=device, dtype=dtype)
    for t in range(length):
        for s in range(points):
            taps[first + t + s, t, s] = 1
    return taps[zeros : zeros + KERNEL].flatten(1)


def toeplitz_adjoint(matrix_ROK: Tensor, shape: torch.Size, points: int, channel_major: bool) -> Tensor:
    """The gradient of the kernels, of shape (R, O, I, 8), from that of their `toeplitz` matrix."""
    replicas, outputs, inputs, _ = shape
    if channel_major:
        windows_ROTSI = matrix_ROK.view(replicas, outputs, -1, inputs, points).transpose(3, 4)
    else:
        windows_ROTSI = matrix_ROK.view(replicas, outputs, -1, points, inputs)
    # each tap's gradient is the sum over the windows that it is in, which one product adds up
    taps = _taps_of_windows(points, matrix_ROK.device, matrix_ROK.dtype)
    return torch.matmul(taps, windows_ROTSI.flatten(2, 3)).transpose(2, 3)
