"""The backend of independent workers. Train's controller imports it, and so neither torch nor Train's part for it."""

from __future__ import annotations

from ray.train.backend import Backend, BackendConfig


class _IndependentWorkers(Backend):
    """Sets nothing up between the workers."""

    has_replica_groups = True
    """Each worker is a group of its own: Train replaces one that died and leaves the others at their work."""


class IndependentConfig(BackendConfig):
    """What TorchTrainer takes in place of a TorchConfig: without a process group."""

    backend = "none"
    """TorchTrainer asks for the process group's."""

    @property
    def backend_cls(self) -> type[Backend]:
        """What Train starts the workers with."""
        return _IndependentWorkers
