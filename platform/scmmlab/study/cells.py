"""A cell: one variant of one transfer with one seed, resolved to everything that decides its numbers."""

from __future__ import annotations

from dataclasses import dataclass

from scmmlab.config import ExperimentSpec, TransferSpec


@dataclass(frozen=True)
class Cell:
    """What is run, and under which identity its results are stored.

    Two cells of a study may have one key: variants that differ only in what does not matter. They are run once.
    """

    variant: str
    """Name of the variant (in a sweep, of the tune_trial)."""
    transfer: TransferSpec
    """Source and target."""
    seed: int
    """Seed of initial weights, batches and masks."""
    experiment: ExperimentSpec
    """The variant's experiment."""
    channels: tuple[str, ...]
    """Channels that source and target have in common, in the source's order."""
    key: str
    """Identity of the cell's results."""
    pretrain_key: str | None
    """Identity of the pre-train stage that it starts from; None where there is no pre-training."""

    @property
    def name(self) -> str:
        """`variant · transfer · seed`, for people."""
        return f"{self.variant} · {self.transfer.name} · {self.seed}"
