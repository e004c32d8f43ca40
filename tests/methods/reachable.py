"""What can be reached from an object, so that it can be shown what a trainer cannot reach."""

from __future__ import annotations

import gc
import types
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

_CODE = (type, types.ModuleType, types.BuiltinFunctionType, types.CodeType, types.FrameType)
"""What leads to everything that was ever imported, and is handed to everybody."""


def reachable(*roots: object) -> Iterator[object]:
    """Everything that `roots` lead to by references: attributes, items, closures, defaults, bases of arrays."""
    seen: set[int] = set()
    waiting: list[Any] = list(roots)
    while waiting:
        one = waiting.pop()
        if id(one) in seen or isinstance(one, _CODE):
            continue
        seen.add(id(one))
        yield one
        if isinstance(one, types.FunctionType):
            # not its module's names
            waiting += [one.__closure__, one.__defaults__, one.__kwdefaults__]
        elif isinstance(one, np.ndarray):
            # NumPy hides its references from the garbage collector
            waiting += [one.base, *(one.ravel().tolist() if one.dtype == object else ())]
        else:
            waiting += gc.get_referents(one)


def holds(label: np.ndarray, *roots: object) -> bool:
    """Whether `roots` lead to an array, a tensor or a sequence in which `label` stands, as it is or beside others.

    Parameters
    ----------
    label : array of int
        Long and irregular enough not to stand anywhere by chance.
    """
    needle = label.astype(np.float64).tobytes()
    return any(needle in numbers.tobytes() for one in reachable(*roots) if (numbers := _numbers(one)) is not None)


def _numbers(one: object) -> np.ndarray | None:
    if isinstance(one, torch.Tensor):
        one = one.detach().cpu().numpy()
    if isinstance(one, list | tuple) and one and all(type(each) in (int, float, bool, np.int64) for each in one):
        one = np.array(one)
    if isinstance(one, bytes | bytearray):
        one = np.frombuffer(one, dtype=np.int64) if len(one) % 8 == 0 else None
    if isinstance(one, np.ndarray) and one.dtype.kind in "biuf":
        return one.astype(np.float64).ravel()
    return None
