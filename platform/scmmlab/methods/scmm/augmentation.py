"""What copies of windows are before they are masked: windows with noise and a gain, or mixtures of two.

Noise and gain are those of contrastive learning on signals (Mohsenvand et al. 2020), on features; mixtures are those of
mixup contrastive learning (Wickstrøm et al. 2022).

Legend: R replica, B window, V view of a window, M = B·V copy, C channel, F band.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from scmmlab.methods.scmm.pack_settings import PackSettings
from scmmlab.replica.random import order_of, stream_words

_FIRST_WORD = 1 << 28
"""Masks draw from the stream's words before it."""
_MIXTURE_WORD = 1 << 29
_TRIES = 32
"""Of which one is accepted, but for one time in 2³² at the least."""


class Mixture(NamedTuple):
    """How a batch is mixed."""

    share_R: Tensor
    """λ, the share of a copy's own window."""
    partner_RB: Tensor
    """int64: the other window of each copy."""


def mixed(x_RBCF: Tensor, mixture: Mixture) -> Tensor:
    """λ x + (1 − λ) x of the partner, [R, B, C, F]."""
    partner = x_RBCF.gather(1, mixture.partner_RB[..., None, None].expand_as(x_RBCF))
    return torch.lerp(partner, x_RBCF, mixture.share_R[:, None, None, None])


def augmented(x_RBCF: Tensor, streams_2R1: Tensor, settings: PackSettings) -> tuple[Tensor | None, Mixture | None]:
    """The copies of a batch before they are masked, [R, M, C, F], and how they were mixed.

    Parameters
    ----------
    x_RBCF : Tensor
        The windows of the whole batch.
    streams_2R1 : Tensor, int32
        Random words, from `masking.mask_streams`.
    settings : PackSettings
        Of the pack.

    Returns
    -------
    copies : Tensor or None
        None where they are plain copies.
    mixture : Mixture or None
        None where nothing is mixed.
    """
    if settings.mixup is None and not settings.any_augmentation:
        return None, None
    mixture, windows = None, x_RBCF
    if settings.mixup is not None:
        mixture = _mixture(streams_2R1, x_RBCF.shape[1], settings.mixup, x_RBCF.dtype)
        windows = mixed(x_RBCF, mixture)
    copies = windows.repeat(1, settings.views, 1, 1) if settings.views > 1 else windows
    if settings.any_augmentation:
        copies = _noisy(copies, streams_2R1, settings)
    return copies, mixture


def _noisy(copies_RMCF: Tensor, streams_2R1: Tensor, settings: PackSettings) -> Tensor:
    """G (x + σ ε), with ε standard normal and g normal around 1, one for each copy."""
    copies, numbers = copies_RMCF.shape[1], copies_RMCF[0, 0].numel()
    normal = _normal(streams_2R1, copies * (numbers + 1), copies_RMCF.dtype)
    noise = normal[:, copies:].view_as(copies_RMCF) * settings.noise_R[:, None, None, None]
    gain = 1 + normal[:, :copies, None, None] * settings.gain_R[:, None, None, None]
    changed = (copies_RMCF + noise) * gain
    # x · 1 + 0 is x but for the sign of 0
    plain_R = (settings.noise_R == 0) & (settings.gain_R == 0)
    return torch.where(plain_R[:, None, None, None], copies_RMCF, changed)


def _uniform(streams_2R1: Tensor, count: int, start: int, dtype: torch.dtype) -> Tensor:
    """Numbers in (0, 1), [R, count]: odd multiples of 2⁻²⁵."""
    bits = (stream_words(streams_2R1, count, start) >> 8).bitwise_and_((1 << 24) - 1)
    return bits.to(dtype).add_(0.5).mul_(2.0**-24)


def _normal(streams_2R1: Tensor, count: int, dtype: torch.dtype) -> Tensor:
    """Standard normal numbers, [R, count], by Box and Muller's transform."""
    half = -(-count // 2)
    # in twice the digits, so that the least of them is not rounded to 0
    first, second = _uniform(streams_2R1, 2 * half, _FIRST_WORD, torch.float64).chunk(2, 1)
    radius, angle = first.log_().mul_(-2).sqrt_(), second.mul_(2 * math.pi)
    return torch.cat((radius * angle.cos(), radius * angle.sin()), 1)[:, :count].to(dtype)


def _mixture(streams_2R1: Tensor, windows: int, alpha: float, dtype: torch.dtype) -> Mixture:
    """λ ~ Beta(α, α) by Jöhnk's rejection, and a random order of the windows."""
    drawn = _uniform(streams_2R1, 2 * _TRIES, _MIXTURE_WORD, torch.float64)
    x, y = drawn.pow_(1 / alpha).chunk(2, 1)
    total = x + y
    accepted = (total <= 1) & (total > 0)
    # the first that is accepted; argmax tells the first of equal ones
    chosen = accepted.to(torch.int8).argmax(1, keepdim=True)
    share_R = (x / total).gather(1, chosen)[:, 0].to(dtype)
    return Mixture(share_R, order_of(stream_words(streams_2R1, windows, _MIXTURE_WORD + 2 * _TRIES)))
