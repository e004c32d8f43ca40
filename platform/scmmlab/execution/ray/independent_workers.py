"""A TorchConfig for independent workers. Train's controller imports it, and little else."""

from __future__ import annotations

from ray.train.backend import Backend
from ray.train.torch import TorchConfig


class _IndependentWorkers(Backend):
    """Sets nothing up between the workers."""

    has_replica_groups = True
    """Each worker is a group of its own: Train replaces one that died and leaves the others at their work."""


class IndependentConfig(TorchConfig):
    """A TorchConfig without a process group."""

    @property
    def backend_cls(self) -> type[Backend]:
        """What Train starts the workers with."""
        return _IndependentWorkers
