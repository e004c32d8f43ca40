"""What several workers that share a batch say to each other; one process alone by default.

A batch of B windows is split contiguously: worker w of W has windows w·B/W … (w + 1)·B/W − 1 and their copies.
"""

from __future__ import annotations

from typing import Protocol

import torch
import torch.distributed as dist
from torch import Tensor


class Collectives(Protocol):
    """Sums, minima and gathers over workers."""

    @property
    def workers(self) -> int:
        """W."""

    @property
    def rank(self) -> int:
        """This worker, 0 … W − 1."""

    def sum(self, x: Tensor) -> Tensor:
        """Σ over workers; its gradient is the sum over workers of the gradients."""

    def maximum(self, x: Tensor) -> Tensor:
        """Greatest over workers, without gradient."""

    def gather_rows(self, x: Tensor) -> Tensor:
        """All workers' rows (dimension 1), in the order of their ranks; its gradient is summed over workers."""


class SingleProcess:
    """One worker: nothing to say."""

    workers = 1
    rank = 0

    def sum(self, x: Tensor) -> Tensor:
        """`x`."""
        return x

    def maximum(self, x: Tensor) -> Tensor:
        """`x`."""
        return x

    def gather_rows(self, x: Tensor) -> Tensor:
        """`x`."""
        return x


class _Sum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: object, x: Tensor, group: TorchDistributed) -> Tensor:
        ctx.group = group  # type: ignore[attr-defined]
        return group.reduce(x.clone(), dist.ReduceOp.SUM)

    @staticmethod
    def backward(ctx: object, grad: Tensor) -> tuple[Tensor, None]:
        return ctx.group.reduce(grad.clone(), dist.ReduceOp.SUM), None  # type: ignore[attr-defined]


class _GatherRows(torch.autograd.Function):
    @staticmethod
    def forward(ctx: object, x: Tensor, group: TorchDistributed) -> Tensor:
        ctx.group = group  # type: ignore[attr-defined]
        parts = [torch.empty_like(x) for _ in range(group.workers)]
        dist.all_gather(parts, x.contiguous(), group=group.group)
        return torch.cat(parts, dim=1)

    @staticmethod
    def backward(ctx: object, grad: Tensor) -> tuple[Tensor, None]:
        group = ctx.group  # type: ignore[attr-defined]
        summed = group.reduce(grad.clone(), dist.ReduceOp.SUM)
        return summed.chunk(group.workers, dim=1)[group.rank].contiguous(), None


class TorchDistributed:
    """Workers of a `torch.distributed` process group (gloo, nccl), which must be initialised."""

    def __init__(self, group: dist.ProcessGroup | None = None):
        self.group = group
        self.workers = dist.get_world_size(group)
        self.rank = dist.get_rank(group)

    def reduce(self, x: Tensor, how: dist.ReduceOp) -> Tensor:
        """`x` reduced over workers, in place."""
        x = x.contiguous()
        dist.all_reduce(x, how, group=self.group)
        return x

    def sum(self, x: Tensor) -> Tensor:
        """Σ over workers."""
        return _Sum.apply(x, self)

    def maximum(self, x: Tensor) -> Tensor:
        """Greatest over workers."""
        return self.reduce(x.detach().clone(), dist.ReduceOp.MAX)

    def gather_rows(self, x: Tensor) -> Tensor:
        """All workers' rows."""
        return _GatherRows.apply(x, self)


SINGLE_PROCESS: Collectives = SingleProcess()
