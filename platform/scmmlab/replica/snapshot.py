"""A snapshot of a pack's parameters, taken and given back replica by replica (the best epoch so far)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from scmmlab.replica.parameters import Parameters


class Snapshot:
    """A second copy of `parameters`: learned numbers and batch-norm buffers.

    Parameters
    ----------
    parameters : Parameters
        What is copied; the snapshot begins as what they are now.
    """

    def __init__(self, parameters: Parameters):
        self._live = parameters
        self.kept = parameters.part("")

    def take(self, replicas_R: Tensor) -> None:
        """Keep what the replicas marked True are now."""
        self._copy(self.kept, self._live, replicas_R)

    def give_back(self, replicas_R: Tensor) -> None:
        """Set the replicas marked True back to what was kept."""
        self._copy(self._live, self.kept, replicas_R)

    def replica_state(self, replica: int) -> dict[str, Tensor]:
        """What is kept of one replica."""
        return self.kept.replica_state(replica)

    def load_replica(self, replica: int, state: Mapping[str, Tensor]) -> None:
        """Overwrite what is kept of one replica."""
        self.kept.load_replica(replica, state)

    @staticmethod
    def _copy(to: Parameters, of: Parameters, replicas_R: Tensor) -> None:
        with torch.no_grad():
            for mine, theirs in zip(_buffers(to), _buffers(of), strict=True):
                mine.copy_(torch.where(replicas_R.view(-1, *[1] * (mine.dim() - 1)), theirs, mine))


def _buffers(parameters: Parameters) -> Iterator[Tensor]:
    yield parameters.values
    for norm in parameters.norms:
        yield parameters.running_mean[norm]
        yield parameters.running_var[norm]
        yield parameters.batches_tracked[norm]
