"""Windows of a pack on the device: each table once, gathered by row and scaled by each replica's own numbers.

| symbol | meaning |
|---|---|
| R, N | replicas, rows of each |
| C, F | channels, bands |
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


class AffineScaler(Protocol):
    """How one replica's windows are scaled: (x − offset) / span, arrays [C, F]; `features.Scaler` is one."""

    @property
    def offset(self) -> NDArray[np.float64]:
        """What is subtracted."""

    @property
    def span(self) -> NDArray[np.float64]:
        """What is divided by, then."""


class Windows(Protocol):
    """Windows that are gathered by row, wherever they are."""

    @property
    def windows(self) -> Tensor:
        """Those that this process holds, [n, C, F]."""

    def first_row(self, array: NDArray[np.float32]) -> int:
        """Row where one of the arrays begins."""

    def gather(self, rows_RN: Tensor) -> Tensor:
        """The windows of these rows, [R, N, C, F], in memory that the caller may change."""


class WindowPool:
    """The windows of several feature arrays, one below the other.

    Folds and cells that share a table share its memory: what differs between them is which rows they take, and how
    they scale them.

    Parameters
    ----------
    arrays : sequence of array, shape=(n, C, F)
        Features. An array that is given twice (the same object) is held once.
    device, dtype
        Of the windows.
    """

    def __init__(self, arrays: Sequence[NDArray[np.float32]], device: torch.device | str, dtype: torch.dtype):
        unique = {id(array): array for array in arrays}
        starts = np.cumsum([0, *(len(array) for array in unique.values())])
        # kept, so that no other array can come to have the identity of one of them
        self._arrays = tuple(unique.values())
        self._start: dict[int, int] = dict(zip(unique, starts.tolist(), strict=False))
        # a concatenation even of one array: the caller's memory is never shared with the device's
        self.windows = torch.from_numpy(np.concatenate(self._arrays)).to(device, dtype)

    def first_row(self, array: NDArray[np.float32]) -> int:
        """Row of the pool where one of its arrays begins."""
        return self._start[id(array)]

    def rows(self, array: NDArray[np.float32], rows: NDArray[np.int64]) -> Tensor:
        """Rows of the pool that hold `rows` of one of its arrays, int64 on the device."""
        return torch.from_numpy(rows + self.first_row(array)).to(self.windows.device)

    def gather(self, rows_RN: Tensor) -> Tensor:
        """The windows of these rows, [R, N, C, F]."""
        return self.windows.index_select(0, rows_RN.reshape(-1)).view(*rows_RN.shape, *self.windows.shape[1:])


@dataclass(frozen=True, eq=False)
class Scaling:
    """The scalers of a pack's replicas as two tensors; build it with `Scaling.stack`."""

    offset_R1CF: Tensor
    """What is subtracted."""
    span_R1CF: Tensor
    """What is divided by, then."""

    @staticmethod
    def stack(scalers: Sequence[AffineScaler], device: torch.device | str, dtype: torch.dtype) -> Scaling:
        """The scalers of a pack, one a replica."""

        def stacked(arrays: list[NDArray[np.float64]]) -> Tensor:
            return torch.from_numpy(np.stack(arrays)).to(device, dtype).unsqueeze(1)

        return Scaling(stacked([scaler.offset for scaler in scalers]), stacked([scaler.span for scaler in scalers]))

    def assign(self, replica: int, scaler: AffineScaler) -> None:
        """Give one replica another scaler, in place."""
        for mine, theirs in ((self.offset_R1CF, scaler.offset), (self.span_R1CF, scaler.span)):
            mine[replica, 0] = torch.from_numpy(theirs).to(mine)

    def apply(self, x_RNCF: Tensor) -> Tensor:
        """(x − offset) / span, each replica by its own numbers; `x_RNCF` is changed in place."""
        return x_RNCF.sub_(self.offset_R1CF).div_(self.span_R1CF)


def padded(rows: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Row numbers of different lengths as one tensor [R, N], 0 beyond the end, and which of them are real."""
    longest = max(len(own) for own in rows)
    out = torch.zeros(len(rows), longest, dtype=torch.int64, device=rows[0].device)
    real = torch.zeros(len(rows), longest, dtype=torch.bool, device=rows[0].device)
    for replica, own in enumerate(rows):
        out[replica, : len(own)] = own
        real[replica, : len(own)] = True
    return out, real
