"""Which values the views of a window keep: the four published ways of masking, whole bands, and none.

Legend: R replica, B window, V view of a window, M = B·V copy, C channel, F band.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from scmmlab.methods.scmm.pack_settings import MASK_MODES, PackSettings
from scmmlab.replica.random import stream_words, streams
from scmmlab.replica.replicas import joined, pretraining_replicas, spread


@torch.inference_mode()
def masks(
    settings: PackSettings,
    seed_R: Tensor,
    epoch: Tensor | int,
    step: Tensor | int,
    windows: int,
    channels: int,
    bands: int,
) -> Tensor | None:
    """What each masked copy keeps.

    `random` draws for each value, `channel` for each channel of each copy, `parallel` chooses one of the two for each
    copy and `hybrid` for each channel of each copy (a draw above the threshold means `random`); `band` draws for each
    band of each copy. A draw hides with probability `masking.ratio`. Paper: arXiv 2408.09186, hybrid masking;
    `random`, `channel` and `parallel` are its code's.

    Parameters
    ----------
    settings : PackSettings
        Of the pack.
    seed_R : Tensor, int64, shape=(R,)
        Seeds.
    epoch, step : int or Tensor, int64, shape=(R,)
        When the masks are drawn.
    windows, channels, bands : int
        B, C, F of the whole batch (of all workers together, when several share one).

    Returns
    -------
    Tensor, bool, shape=(R, B·V, C, F), or None
        True where a value is kept; copies in the order of the batch tiled V times. None when no replica masks.
    """
    if settings.mask_modes == {"none"}:
        return None
    return stream_masks(settings, mask_streams(seed_R, epoch, step), windows, channels, bands)


def mask_streams(seed_R: Tensor, epoch: Tensor | int, step: Tensor | int) -> Tensor:
    """The streams of random words that `masks` draws from, int32 [2, R, 1]."""
    return streams(seed_R, "masks", epoch, step)


@torch.inference_mode()
def stream_masks(settings: PackSettings, streams_2R1: Tensor, windows: int, channels: int, bands: int) -> Tensor | None:
    """What `masks` gives, from its streams: they can be made for many steps at once, and before any of them."""
    if settings.mask_modes == {"none"}:
        return None
    size = pretraining_replicas(streams_2R1[0])
    pieces = zip(settings.parts(size), streams_2R1.split(size, dim=1), strict=True)
    draw = partial(_masks, copies=windows * settings.views, channels=channels, bands=bands)
    return joined(spread(draw, pieces))


def _draws(streams_2R1: Tensor, count: int) -> Tensor:
    """Uniform draws, int16 [R, count]: the halves of words, fine enough for a probability and half of the work."""
    return stream_words(streams_2R1, -(-count // 2)).view(torch.int16)[:, :count]


def _masks(settings: PackSettings, streams_2R1: Tensor, copies: int, channels: int, bands: int) -> Tensor:
    modes = settings.mask_modes
    if modes == {"none"}:
        # beside replicas that mask
        return torch.ones(settings.replicas, copies, channels, bands, dtype=torch.bool, device=streams_2R1.device)

    def per_replica(numbers_R: Tensor) -> Tensor:
        return numbers_R.view(-1, 1, 1, 1)

    # one stream a step: a draw for each channel of each copy, one for its choice, one for each value
    sorts = 1 if modes <= {"none", "channel"} else 2 + bands
    drawn = _draws(streams_2R1, copies * channels * sorts).unflatten(1, (copies * sorts, channels, 1))
    ratio, threshold = per_replica(settings.mask_ratio_R), per_replica(settings.mask_threshold_R)
    mode = per_replica(settings.mask_mode_R)
    keep: Tensor = drawn[:, :copies] >= ratio
    if sorts == 1:
        keep = keep.expand(-1, copies, channels, bands)
    else:
        above = drawn[:, copies : 2 * copies] >= threshold
        # whether a channel of a copy draws its values one by one
        random = mode == MASK_MODES.index("random")
        if "hybrid" in modes:
            random = random | (above & (mode == MASK_MODES.index("hybrid")))
        if "parallel" in modes:
            # a copy's choice is that of its first channel
            random = random | (above[:, :, :1] & (mode == MASK_MODES.index("parallel")))
        values = drawn[:, 2 * copies :].reshape(-1, copies, channels, bands) >= ratio
        if "band" in modes:
            # a band's draw is that of its value in the first channel
            band = mode == MASK_MODES.index("band")
            values, random = torch.where(band, values[:, :, :1], values), random | band
        # random ? values : keep, on bits, which is faster than a choice
        keep = (values | ~random) & (keep | random)
    if "none" in modes:
        keep = keep | (mode == MASK_MODES.index("none"))
    return keep
