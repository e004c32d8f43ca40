"""A function over tensors that stay where they are, captured once as a CUDA graph and replayed from then on.

A training step is a few hundred kernels of a few microseconds each: launching them one by one takes the host longer
than it takes the GPU to run them. A graph launches all of them at once.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import lru_cache

import torch

from scmmlab.replica.collectives import Collectives
from scmmlab.replica.shortage import out_of_memory

logger = logging.getLogger(__name__)

WARM_UPS = 3
"""Calls before the capture: they choose kernels, and make what is made once and kept."""

_warned: set[str] = set()


class CudaGraph:
    """The CUDA graph of one function, or the function itself where it cannot be captured.

    The function is given at each call and not kept, so that a graph and its memory go when their owner goes. It takes
    nothing and returns nothing, does the same work at each call, asks the host for nothing, and reads and writes
    tensors that outlive the graph.

    Parameters
    ----------
    device : device
        Where the function works; a CUDA device if there is to be a graph.
    wanted : bool
        False where the function is to be called all the same, to be measured.
    """

    def __init__(self, device: torch.device, wanted: bool = True):
        self._device = device
        self._graph: torch.cuda.CUDAGraph | None = None
        self.reason: str | None = None
        """Why the function is called and not replayed; None where it is replayed, or was not prepared yet."""
        if device.type != "cuda":
            self.reason = f"only a GPU has CUDA graphs, this is '{device.type}'"
        elif not torch.cuda.is_available():
            self.reason = "PyTorch sees no GPU"
        elif not wanted:
            self.reason = "none was wanted"

    def prepare(self, function: Callable[[], None], idle: Callable[[], None]) -> None:
        """Capture `function`, unless that was done, or found to be impossible.

        Parameters
        ----------
        function : callable
            What is captured.
        idle : callable
            Sets the function's inputs so that a call changes nothing: the first calls are made for their own sake.

        Raises
        ------
        torch.OutOfMemoryError
            If there is no memory for it.
        """
        if self._graph is not None or self.reason is not None:
            return
        try:
            self._graph = _capture(function, idle, self._device)
        except Exception as error:
            if (memory := _lack_of_memory(error)) is not None:
                raise memory from None
            self.reason = f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"
            warn_once(self.reason)

    def run(self, function: Callable[[], None]) -> None:
        """Replay `function`, or call it where there is no graph."""
        if self._graph is None:
            function()
        else:
            self._graph.replay()


def warn_once(reason: str) -> None:
    """Say in the log that a GPU trains without a graph, and why."""
    if reason not in _warned:
        _warned.add(reason)
        logger.warning("Training goes on without a CUDA graph, kernel by kernel: %s", reason)


class GraphedTensor:
    """A function that makes one tensor, replayed where it can be.

    Parameters
    ----------
    device : device
        Where it works.
    """

    def __init__(self, device: torch.device):
        self._graph = CudaGraph(device)
        self._made: torch.Tensor | None = None

    def __call__(self, function: Callable[[], torch.Tensor]) -> torch.Tensor:
        """What `function` makes; changes nothing else. The next call may overwrite it."""

        def make() -> None:
            self._made = function()

        self._graph.prepare(make, lambda: None)
        self._graph.run(make)
        assert self._made is not None, "the function was called, if only for its capture"
        return self._made


def _capture(function: Callable[[], None], idle: Callable[[], None], device: torch.device) -> torch.cuda.CUDAGraph:
    # PyTorch's own order of things: warm up on a side stream that waits for the current one, then capture there
    with torch.cuda.device(device):
        stream = _side_stream(torch.cuda.current_device())
        stream.wait_stream(torch.cuda.current_stream())
        # this block also leaves the side stream where `torch.cuda.graph`, interrupted by an error, does not
        with torch.cuda.stream(stream):
            for _ in range(WARM_UPS):
                idle()
                function()
            graph = torch.cuda.CUDAGraph()
            # other threads of a worker may go on talking to their devices meanwhile
            with torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"):
                function()
        torch.cuda.current_stream().wait_stream(stream)
    return graph


@lru_cache
def _side_stream(device: int) -> torch.cuda.Stream:
    """The stream of all captures on a device: cuBLAS keeps a workspace of 32 MiB for each stream that it has met."""
    return torch.cuda.Stream(device)


def _lack_of_memory(error: BaseException | None) -> BaseException | None:
    """The error of this chain that says that there was no memory left: ending a broken capture may raise another."""
    while error is not None and not out_of_memory(error):
        error = error.__cause__ or error.__context__
    return error


def stays_on_device(device: torch.device, group: Collectives) -> bool:
    """Whether epochs are trained from buffers that stay where they are (`EpochBuffers`): on a GPU, by one worker."""
    return device.type != "cpu" and group.workers == 1
