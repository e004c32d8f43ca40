"""How many replicas a device computes at a time.

A GPU takes them all. On a CPU two things limit them. What a step touches should stay in the cache: a pre-training step
of one replica fills it. And each replica's numbers must be the same to the last bit in any pack: PyTorch's loops take
numbers by whole vectors and the rest one by one, where functions such as exp round otherwise, so replicas go together
only if each one's numbers fill whole vectors. (docs/numerics.md has the measurements.)
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

CPU_PRETRAINING = 1
"""Replicas of a pre-training step."""
CPU_FINETUNING = 4
"""Replicas of a fine-tuning step, where their numbers fill whole vectors."""
VECTOR = 32
"""Numbers that fill whole vectors of any CPU: two of 512 bits, since PyTorch's loops are unrolled once."""


def pretraining_replicas(x_RBCF: Tensor) -> int:
    """Replicas to pre-train at a time."""
    return CPU_PRETRAINING if x_RBCF.device.type == "cpu" else len(x_RBCF)


def finetuning_replicas(x_RBCF: Tensor, features: int, others: Sequence[int] = ()) -> int:
    """Replicas to fine-tune or to evaluate at a time.

    Parameters
    ----------
    x_RBCF : Tensor
        The windows.
    features : int
        Features of the encoder's first block, of which the other blocks have multiples.
    others : sequence of int
        Features of other layers.
    """
    if x_RBCF.device.type != "cpu":
        return len(x_RBCF)
    whole = features % VECTOR == 0 and all(number * x_RBCF.shape[1] % VECTOR == 0 for number in others)
    return CPU_FINETUNING if whole else 1


def parts(tensor: Tensor | None, size: int, replicas: int) -> Sequence[Tensor | None]:
    """`tensor` in parts of `size` replicas; as many times None if it is None."""
    return [None] * -(-replicas // size) if tensor is None else tensor.split(size)


def joined(tensors: Sequence[Tensor]) -> Tensor:
    """All replicas of all parts."""
    return tensors[0] if len(tensors) == 1 else torch.cat(list(tensors))
