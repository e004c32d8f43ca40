"""What the epochs of both stages have in common: steps over buffers that stay, on a GPU replayed as one CUDA graph."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch

from scmmlab.replica.cuda_graph import CudaGraph
from scmmlab.replica.epoch_buffers import EpochBuffers
from scmmlab.replica.kernel_stats import KernelStats


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
        with KernelStats() as found:
            self._take_step()
        return found

    @abstractmethod
    def _take_step(self) -> None:
        """Take the step that the buffers are at, and advance them."""
