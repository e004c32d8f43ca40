"""What several workers that share a batch say to each other; by default there is one, which says nothing.

A batch of B windows is split contiguously: worker w of W has windows w·B/W … (w + 1)·B/W − 1, and the copies of its
windows follow them. Rows i of a similarity matrix are the worker's own, columns j all workers', in the order of ranks.
"""

from __future__ import annotations

from typing import Any, Protocol

import torch
import torch.distributed as dist
from torch import Tensor


class Collectives(Protocol):
    """Sums, maxima and gathers over the workers of a batch."""

    @property
    def workers(self) -> int:
        """How many there are, W."""

    @property
    def rank(self) -> int:
        """Which one is asking, 0 … W − 1."""

    def sum(self, x: Tensor) -> Tensor:
        """Σ over workers, the same on all."""

    def maximum(self, x: Tensor) -> Tensor:
        """Greatest over workers, the same on all."""

    def gather(self, x: Tensor, dim: int) -> Tensor:
        """All workers' `x` along `dim`, in the order of ranks."""

    def scatter(self, gradient: Tensor, dim: int) -> Tensor:
        """The adjoint of `gather`: of Σ over workers, this worker's part along `dim`."""


class SingleProcess:
    """One worker."""

    workers = 1
    rank = 0

    def sum(self, x: Tensor) -> Tensor:
        """`x` itself."""
        return x

    def maximum(self, x: Tensor) -> Tensor:
        """`x` itself."""
        return x

    def gather(self, x: Tensor, dim: int) -> Tensor:
        """`x` itself."""
        return x

    def scatter(self, gradient: Tensor, dim: int) -> Tensor:
        """`gradient` itself."""
        return gradient


SINGLE_PROCESS: Collectives = SingleProcess()


class TorchDistributed:
    """The workers of a `torch.distributed` process group (gloo or nccl), which must be initialised.

    Parameters
    ----------
    group : ProcessGroup or None
        The group; the default one when None.
    """

    def __init__(self, group: dist.ProcessGroup | None = None):
        self.group = group
        self.workers = dist.get_world_size(group)
        self.rank = dist.get_rank(group)

    def sum(self, x: Tensor) -> Tensor:
        """Σ over workers."""
        return self._reduce(x, dist.ReduceOp.SUM)

    def maximum(self, x: Tensor) -> Tensor:
        """Greatest over workers."""
        return self._reduce(x, dist.ReduceOp.MAX)

    def gather(self, x: Tensor, dim: int) -> Tensor:
        """All workers' `x` along `dim`."""
        x = x.contiguous()
        parts = [torch.empty_like(x) for _ in range(self.workers)]
        dist.all_gather(parts, x, group=self.group)
        return torch.cat(parts, dim)

    def scatter(self, gradient: Tensor, dim: int) -> Tensor:
        """Of the sum, the part of this worker."""
        return self.sum(gradient).chunk(self.workers, dim)[self.rank]

    def _reduce(self, x: Tensor, how: Any) -> Tensor:
        reduced = x.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(reduced, how, group=self.group)
        return reduced
