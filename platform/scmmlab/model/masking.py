"""Which values the views of a window keep: the four published ways of masking, and none."""

from __future__ import annotations

import torch
from torch import Tensor

from scmmlab.model.random import words
from scmmlab.model.replicas import joined, pretraining_replicas
from scmmlab.model.settings import MASK_MODES, Settings


@torch.inference_mode()
def masks(
    settings: Settings, seed_R: Tensor, epoch: Tensor | int, step: Tensor | int, windows: int, channels: int, bands: int
) -> Tensor | None:
    """What each masked copy keeps.

    `random` draws for each value, `channel` for each channel of each copy, `parallel` chooses one of the two for each
    copy and `hybrid` for each channel of each copy (a draw above the threshold means `random`). A draw hides with
    probability `masking.ratio`. Paper: arXiv 2408.09186, hybrid masking; the other modes are its code's.

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
    if settings.mask_modes == {"none"}:
        return None
    size = pretraining_replicas(seed_R)
    found = []
    for own, start in zip(settings.parts(size), range(0, len(seed_R), size), strict=True):
        part = slice(start, start + size)
        epoch_R, step_R = (number if isinstance(number, int) else number[part] for number in (epoch, step))
        found.append(_masks(own, seed_R[part], epoch_R, step_R, windows * settings.views, channels, bands))
    return joined(found)


def _draws(seed_R: Tensor, epoch: Tensor | int, step: Tensor | int, count: int) -> Tensor:
    """Uniform draws, int16 [R, count]: the halves of words, fine enough for a probability and half of the work."""
    return words(seed_R, "masks", epoch, step, -(-count // 2)).view(torch.int16)[:, :count]


def _masks(
    settings: Settings, seed_R: Tensor, epoch: Tensor | int, step: Tensor | int, copies: int, channels: int, bands: int
) -> Tensor:
    modes = settings.mask_modes
    if modes == {"none"}:
        # beside replicas that mask
        return torch.ones(len(seed_R), copies, channels, bands, dtype=torch.bool, device=seed_R.device)

    def per_replica(numbers_R: Tensor) -> Tensor:
        return numbers_R.view(-1, 1, 1, 1)

    # one stream a step: a draw for each channel of each copy, one for its choice, one for each value
    sorts = 1 if modes <= {"none", "channel"} else 2 + bands
    drawn = _draws(seed_R, epoch, step, copies * channels * sorts).unflatten(1, (copies * sorts, channels, 1))
    ratio, threshold = per_replica(settings.mask_ratio_R), per_replica(settings.mask_threshold_R)
    mode = per_replica(settings.mask_mode_R)
    keep = drawn[:, :copies] >= ratio
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
        # random ? values : keep, on bits, which is faster than a choice
        keep = (values | ~random) & (keep | random)
    if "none" in modes:
        keep = keep | (mode == MASK_MODES.index("none"))
    return keep
