"""The result of a run."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RunSummary:
    """The state of a study after a run."""

    total: int
    """Cells (or tune_trials) of the study."""
    finished: int
    """Of these, with a result."""
    ran: int
    """Of these, by this run."""
    failures: tuple[str, ...]
    """A line for each that failed: name, stage, error."""

    @property
    def complete(self) -> bool:
        """Whether every cell has a result."""
        return self.finished == self.total
