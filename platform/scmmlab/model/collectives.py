"""What several workers that share a batch say to each other; by default there is one, which says nothing.

A batch of B windows is split contiguously: worker w of W has windows w·B/W … (w + 1)·B/W − 1, and the copies of its
windows follow them. Rows i of a similarity matrix are the worker's own, columns j all workers', in the order of ranks.
"""

from __future__ import annotations

from typing import Any, Protocol

import torch
import torch.distributed as dist
from torch import Tensor
from torch.autograd.function import once_differentiable


class Collectives(Protocol):
    """Sums, maxima and gathers over the workers of a batch."""

    @property
    def workers(self) -> int:
        """How many there are, W."""

    @property
    def rank(self) -> int:
        """Which one is asking, 0 … W − 1."""

    def sum(self, x: Tensor) -> Tensor:
        """Σ over workers, the same on all; without gradient."""

    def maximum(self, x: Tensor) -> Tensor:
        """Greatest over workers, the same on all; without gradient."""

    def gather(self, x: Tensor, dim: int) -> Tensor:
        """All workers' `x` along `dim`, in the order of ranks; its gradient is the sum of what all workers send."""


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
        return _Gather.apply(x, dim, self)

    def _reduce(self, x: Tensor, how: Any) -> Tensor:
        reduced = x.detach().clone(memory_format=torch.contiguous_format)
        dist.all_reduce(reduced, how, group=self.group)
        return reduced


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, dim: int, workers: TorchDistributed) -> Tensor:
        ctx.dim, ctx.workers = dim, workers
        x = x.contiguous()
        parts = [torch.empty_like(x) for _ in range(workers.workers)]
        dist.all_gather(parts, x, group=workers.group)
        return torch.cat(parts, dim)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        return ctx.workers.sum(grad).chunk(ctx.workers.workers, ctx.dim)[ctx.workers.rank], None, None


def total_over_workers(local_R: Tensor, group: Collectives) -> Tensor:
    """Σ over workers as a value; the gradient is of the worker's own part.

    So the sum over workers of what each finds for its parameters is the gradient of the whole, neither more nor less.
    """
    if group.workers == 1:
        return local_R
    return local_R + (group.sum(local_R) - local_R.detach())
