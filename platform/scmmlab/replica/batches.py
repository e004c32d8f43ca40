"""Batch order: which windows each step of an epoch takes, for replicas that need not have equally many.

| symbol | meaning |
|---|---|
| R | replicas |
| S | steps of the replica with the most |
| B | windows of a batch |
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from scmmlab.replica.random import permutation


@dataclass(frozen=True)
class EpochBatches:
    """The batches of one epoch."""

    window_RSB: Tensor
    """int64: number of the window among the replica's own; 0 where a batch is not full."""
    real_RSB: Tensor
    """bool: whether the row is a window, and not padding of a batch that is not full."""
    active_RS: Tensor
    """bool: whether the replica has such a step."""
    full: tuple[bool, ...]
    """Step → whether all replicas have it. A Python value, so that asking costs no device synchronisation."""

    @property
    def steps(self) -> int:
        """S."""
        return len(self.full)


def steps_per_epoch(windows: int, batch_size: int, drop_last: bool) -> int:
    """Batches in one pass over `windows`."""
    return windows // batch_size if drop_last else -(-windows // batch_size)


def epoch_batches(
    seed_R: Tensor, purpose: str, epoch_R: Tensor, windows: Sequence[int], batch_size: int, drop_last: bool
) -> EpochBatches:
    """Each replica's windows in the random order of its own epoch, cut into batches.

    Parameters
    ----------
    seed_R, epoch_R : Tensor, int64, shape=(R,)
        Seed and epoch of each replica; its order depends on nothing else of the pack.
    purpose : str
        What the order is for.
    windows : sequence of int
        How many windows each replica has.
    batch_size : int
        B.
    drop_last : bool
        Whether a last batch that is not full is left out.
    """
    device = seed_R.device
    steps = [steps_per_epoch(n, batch_size, drop_last) for n in windows]
    most = max(steps)
    order = torch.zeros(len(windows), most * batch_size, dtype=torch.int64, device=device)
    taken = torch.zeros(len(windows), dtype=torch.int64)
    for n in sorted(set(windows)):
        members = [r for r, own in enumerate(windows) if own == n]
        used = steps[members[0]] * batch_size if drop_last else n
        chosen = torch.tensor(members, device=device)
        order[chosen, :used] = permutation(seed_R[chosen], purpose, epoch_R[chosen], n)[:, :used]
        taken[members] = used
    position = torch.arange(most * batch_size, device=device)
    real = (position < taken.to(device).unsqueeze(-1)).view(len(windows), most, batch_size)
    active = torch.arange(most, device=device) < torch.tensor(steps, device=device).unsqueeze(-1)
    return EpochBatches(
        window_RSB=order.view(len(windows), most, batch_size),
        real_RSB=real,
        active_RS=active,
        full=tuple(all(step < own for own in steps) for step in range(most)),
    )
