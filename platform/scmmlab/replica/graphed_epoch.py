"""An epoch whose steps read memory that stays where it is, so that one CUDA graph of a step serves them all."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from scmmlab.replica.cuda_graph import CudaGraph
from scmmlab.replica.kernel_stats import KernelStats


class EpochBuffers:
    """For each name a tensor with one entry a step, and the number of the step, which is a tensor too.

    Parameters
    ----------
    steps : int
        The most that an epoch may have.
    device : device
        Where.
    **entries
        Name → type and shape of a step's entry.
    """

    def __init__(self, steps: int, device: torch.device, **entries: tuple[torch.dtype, tuple[int, ...]]):
        self.steps = steps
        self._step = torch.zeros(1, dtype=torch.int64, device=device)
        self._entries = {
            name: torch.zeros(steps, *shape, dtype=dtype, device=device) for name, (dtype, shape) in entries.items()
        }

    def load(self, **entries: Tensor) -> None:
        """Take an epoch's entries [steps, …], and begin with its first step."""
        for name, tensor in self._entries.items():
            tensor[: len(entries[name])].copy_(entries[name])
        self._step.zero_()

    def idle(self) -> None:
        """Make all entries 0 and false, and begin with the first step."""
        for tensor in self._entries.values():
            tensor.zero_()
        self._step.zero_()

    def now(self, name: str) -> Tensor:
        """The entry of the step that is being taken."""
        return self._entries[name].index_select(0, self._step).squeeze(0)

    def advance(self) -> None:
        """Go to the next step."""
        self._step += 1


class GraphedEpoch(ABC):
    """The steps of an epoch.

    Parameters
    ----------
    buffers : EpochBuffers
        What differs from step to step.
    device : device
        Where they are.
    cuda_graph : bool
        False to launch each kernel by itself on a GPU too.
    """

    def __init__(self, buffers: EpochBuffers, device: torch.device, cuda_graph: bool):
        self._buffers = buffers
        self._graph = CudaGraph(device, cuda_graph)

    @property
    def no_graph_reason(self) -> str | None:
        """Why there is no graph; None where there is one."""
        return self._graph.reason

    def operations(self) -> KernelStats:
        """What one step sends to the device, counted in a step that nobody takes."""
        self._buffers.idle()
        found = KernelStats()
        with found:
            self._take_step()
        return found

    @abstractmethod
    def _take_step(self) -> None:
        """Take the step that the buffers are at, and advance them."""
