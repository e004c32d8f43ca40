"""How many replicas a device computes at a time, and on how many threads.

A GPU takes them all. On a CPU two things limit them. What a step touches should stay in the cache: a pre-training step
of one replica fills it. And each replica's numbers must be the same to the last bit in any pack: PyTorch's loops take
numbers by whole vectors and the rest one by one, where functions such as exp round otherwise, so replicas go together
only if each one's numbers fill whole vectors. (docs/numerics.md has the measurements.)

Where PyTorch has several threads on a CPU, each takes replicas of its own, since to share out each small operation
costs more than it brings. So a replica of a pack has the same last bit with any number of threads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from functools import lru_cache
from threading import Barrier, Lock, local
from typing import Any, TypeVar

import torch
from torch import Tensor

CPU_PRETRAINING = 1
"""Replicas of a pre-training step."""
CPU_FINETUNING = 4
"""Replicas of a fine-tuning step, where their numbers fill whole vectors."""
Found = TypeVar("Found")

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
    # as many parts for each thread: one that is left over would keep the others waiting
    replicas, threads = len(x_RBCF), replica_threads()
    count = threads * -(-replicas // (threads * CPU_FINETUNING))
    return -(-replicas // count) if whole else 1


def parts(tensor: Tensor | None, size: int, replicas: int) -> Sequence[Tensor | None]:
    """`tensor` in parts of `size` replicas; as many times None if it is None."""
    return [None] * -(-replicas // size) if tensor is None else tensor.split(size)


def joined(tensors: Sequence[Tensor]) -> Tensor:
    """All replicas of all parts."""
    return tensors[0] if len(tensors) == 1 else torch.cat(list(tensors))


class _Kept(local):
    count: int | None = None


_kept = _Kept()
"""Threads that are for whole replicas, where operations of this thread have fewer."""


def replica_threads() -> int:
    """Threads that replicas are spread over."""
    return _kept.count or torch.get_num_threads()


def keep_for_replicas(count: int | None) -> None:
    """Have what this thread spreads run on so many threads; on as many as its operations have when None.

    A replica's numbers are the same either way, as each is computed by one thread.
    """
    _kept.count = count


@contextmanager
def threads_for_replicas(replicas: int, device: torch.device) -> Iterator[None]:
    """Keep all threads of a CPU for whole replicas, where there are several.

    What PyTorch does between two calls of `spread` has one thread then. If it had more, they would spin for
    milliseconds after it, on the cores that replicas want.
    """
    each, before = torch.get_num_threads(), _kept.count
    if device.type != "cpu" or replicas == 1 or each == 1:
        yield
        return
    keep_for_replicas(replica_threads())
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(each)
        keep_for_replicas(before)


def _first_calls() -> None:
    """Have the libraries beneath PyTorch choose their kernels, which they do at the first call.

    Where several threads were first at once, a replica had other last bits in its first step in one start of twenty to
    sixty (OMP_NUM_THREADS 1, busy cores; `tests/model/test_model_first_calls.py`).
    """
    for size in (8, 64, 512):
        x = torch.ones(2, size, size)
        torch.baddbmm(x, x, x).exp_().log1p().sigmoid_()
        torch.bmm(x, x.transpose(1, 2)).softmax(-1)


@lru_cache
def _threads(count: int) -> ThreadPoolExecutor:
    """So many threads, in each of which an operation has one."""
    pool, ready, first = ThreadPoolExecutor(count, "replicas"), Barrier(count + 1), Lock()

    def begin() -> None:
        # a thread takes over the common number when it is first asked, and would forget its own
        torch.get_num_threads()
        torch.set_num_threads(1)
        with first:
            _first_calls()
        ready.wait()

    mine = torch.get_num_threads()
    _first_calls()
    for _ in range(count):
        pool.submit(begin)
    ready.wait()
    # what a thread sets is what later ones start from
    torch.set_num_threads(mine)
    return pool


def spread(function: Callable[..., Found], parts: Iterable[tuple[Any, ...]], alone: bool = False) -> list[Found]:
    """What `function` finds in each part (its arguments), on as many threads as there are for replicas.

    Parameters
    ----------
    function : callable
        Writes nothing that another part's call reads.
    parts : iterable of tuple
        Arguments of each call.
    alone : bool
        Whether calls must follow one another: on a GPU, and where workers talk in them.
    """
    calls, count = list(parts), replica_threads()
    if alone or len(calls) == 1 or count == 1:
        return [function(*call) for call in calls]

    def run(call: tuple[Any, ...]) -> Found:
        with torch.inference_mode():
            return function(*call)

    futures = [_threads(count).submit(run, call) for call in calls]
    # also after a failure nothing goes on writing
    wait(futures)
    return [future.result() for future in futures]
