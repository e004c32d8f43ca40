"""Which unlabelled windows of the target each step sees.

A replica's windows are put in a random order at each epoch, and each step takes the next ones, as many as a batch has;
after the last one the first one follows again, as often as the source's steps ask for. No step has a window twice:
where there are fewer than a batch, each step has all of them, and the rest of the batch does not count.

Legend: R replica, S step, B window of a batch.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from scmmlab.replica.random import permutation

TARGET_BATCHES = "finetune/target batches"
"""Purpose of the order."""


def target_batches(seed_R: Tensor, epoch_R: Tensor, windows: Sequence[int], steps: int, batch_size: int) -> Tensor:
    """Numbers of the windows among the replica's own, int64 [S, R, B]; the first min(n, B) of a batch count.

    Parameters
    ----------
    seed_R, epoch_R : Tensor, int64, shape=(R,)
        Seed and epoch of each replica; its order depends on nothing else of the pack.
    windows : sequence of int
        How many windows n each replica has.
    steps : int
        S.
    batch_size : int
        B.
    """
    device = seed_R.device
    chosen_SRB = torch.zeros(steps, len(windows), batch_size, dtype=torch.int64, device=device)
    step_S1, place_B = torch.arange(steps, device=device).unsqueeze(1), torch.arange(batch_size, device=device)
    for n in sorted(set(windows)):
        members = torch.tensor([r for r, own in enumerate(windows) if own == n], device=device)
        order_RN = permutation(seed_R[members], TARGET_BATCHES, epoch_R[members], n)
        place_SB = (step_S1 * min(n, batch_size) + place_B) % n
        chosen_SRB[:, members] = order_RN[:, place_SB].transpose(0, 1)
    return chosen_SRB


def counting(windows: Sequence[int], batch_size: int, device: torch.device) -> Tensor:
    """Which windows of a batch count, bool [R, B]."""
    return torch.arange(batch_size, device=device) < torch.tensor(windows, device=device).unsqueeze(1)
