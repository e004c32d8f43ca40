"""Which values the views of a window keep: the four published ways of masking, and none."""

from __future__ import annotations

import torch
from torch import Tensor

from scmmlab.model.random import uniform
from scmmlab.model.settings import MASK_MODES, Settings


def masks(
    settings: Settings, seed_R: Tensor, epoch: Tensor | int, step: Tensor | int, windows: int, channels: int, bands: int
) -> Tensor | None:
    """What each masked copy keeps.

    `random` draws for each value, `channel` for each channel of each copy, `parallel` chooses one of the two for each
    copy and `hybrid` for each channel of each copy (a draw above the threshold means `random`). Each draw hides with
    probability `mask_ratio`. Paper: arXiv 2408.09186, hybrid masking; the code's other modes beside it.

    Parameters
    ----------
    settings : Settings
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
    modes = settings.mask_modes
    if modes == {"none"}:
        return None
    copies = windows * settings.views

    def draw(purpose: str, *size: int) -> Tensor:
        count = torch.Size(size).numel()
        return uniform(seed_R, purpose, epoch, step, count).view(-1, *size)

    def per_replica(values_R: Tensor) -> Tensor:
        return values_R.view(-1, 1, 1, 1)

    ratio = per_replica(settings.mask_ratio_R)
    threshold = per_replica(settings.mask_threshold_R)
    mode = per_replica(settings.mask_mode_R)
    by_channel = draw("mask channels", copies, channels, 1) >= ratio
    if modes <= {"none", "channel"}:
        keep = by_channel.expand(-1, copies, channels, bands)
    else:
        by_value = draw("mask values", copies, channels, bands) >= ratio
        # mode → whether a channel of a copy draws its values one by one
        random = mode == MASK_MODES.index("random")
        if "parallel" in modes:
            chosen = draw("mask choice of a copy", copies, 1, 1) > threshold
            random = random | ((mode == MASK_MODES.index("parallel")) & chosen)
        if "hybrid" in modes:
            chosen = draw("mask choice of a channel", copies, channels, 1) > threshold
            random = random | ((mode == MASK_MODES.index("hybrid")) & chosen)
        keep = torch.where(random, by_value, by_channel)
    if "none" in modes:
        keep = keep | (mode == MASK_MODES.index("none"))
    return keep
