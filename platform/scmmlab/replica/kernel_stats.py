"""What a step sends to the device: operations, each of them a kernel (a few reductions take two), and their bytes."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

MEMORY_ALONE = (
    "aten::empty",
    "aten::new_empty",
    "aten::detach",
    "aten::lift_fresh",
    "aten::alias",
    "aten::_unsafe_view",
)
"""What takes memory, or gives it another shape, and computes nothing."""


class KernelStats(TorchDispatchMode):
    """Counts the operations within a block, and the bytes that they read and write."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.operations: Counter[str] = Counter()
        """Name → how often."""
        self.devices: Counter[str] = Counter()
        """Kind of device that an operation read from or wrote to → how often."""
        self.bytes = 0
        """Of all tensors that go in and come out, as if no cache held any of them."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """False: to be skipped by the compiler, PyTorch would load all of it."""
        return False

    @property
    def total(self) -> int:
        """All operations."""
        return self.operations.total()

    def __torch_dispatch__(
        self, operation: Any, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Do it and count it."""
        given = kwargs or {}
        # what PyTorch makes of other operations is counted by them: `to`, which may copy or not, is no view
        with self:
            made = operation.decompose(*args, **given)
        if made is not NotImplemented:
            return made
        made = operation(*args, **given)
        name = operation.name()
        read, written = ([leaf for leaf in tree_leaves(of) if isinstance(leaf, Tensor)] for of in ((args, given), made))
        if not operation.is_view and not name.startswith(MEMORY_ALONE):
            self.operations[name] += 1
            # what is changed in place is given and returned: read and written
            self.bytes += sum(map(_bytes, read + written))
        self.devices.update({tensor.device.type for tensor in read + written})
        return made


def _bytes(tensor: Tensor) -> int:
    """Bytes in memory: what is expanded lies there once."""
    sizes = (size for size, stride in zip(tensor.shape, tensor.stride(), strict=True) if stride)
    return math.prod(sizes) * tensor.element_size()
