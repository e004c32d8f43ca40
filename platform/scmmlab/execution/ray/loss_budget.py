"""How many workers a run may lose: those that failed, and those that were taken away, with their machine or alone."""

from __future__ import annotations

from scmmlab.errors import TryAgainError
from scmmlab.execution.events import WorkerLost
from scmmlab.execution.interruption import RESUMABLE
from scmmlab.study.worker_losses import WorkerLosses


class LossBudget:
    """Counts the workers that a run loses.

    Parameters
    ----------
    max_failures : int
        Workers that may crash or run out of memory.
    max_preemptions : int | None
        Workers that may be told to go, and machines that may be lost; any number when None.
    """

    def __init__(self, max_failures: int, max_preemptions: int | None = None):
        self._max_failures, self._max_preemptions = max_failures, max_preemptions
        self.losses = WorkerLosses()
        """Those so far."""
        self._last_failure: WorkerLost | None = None

    def count(self, lost: WorkerLost) -> None:
        """A worker, or a machine with its workers, is gone."""
        before, self.losses = self.losses, self.losses.plus(lost.kind, str(lost))
        if self.losses.failures > before.failures:
            self._last_failure = lost

    def check(self, logs: str | None) -> None:
        """Go on only where no budget is used up.

        Raises
        ------
        TryAgainError
            Saying which one is, and what the last worker was lost by.
        """
        losses = self.losses
        if losses.failures > self._max_failures:
            assert self._last_failure is not None
            memory = self._last_failure.kind == "out_of_memory"
            advice = "lower resources.pack_size, or let fewer workers share a machine; " if memory else ""
            raise TryAgainError(
                f"Workers failed {losses.failures} times, and resources.max_failures allows {self._max_failures}; the "
                f"last time {self._last_failure}.",
                hint=f"{advice}{RESUMABLE}; Ray's logs are in {logs}",
            )
        if self._max_preemptions is not None and losses.taken > self._max_preemptions:
            raise TryAgainError(
                f"Workers were taken away {losses.taken} times (preempted, or all of a machine that was lost), and "
                f"resources.max_preemptions allows {self._max_preemptions}.",
                hint=f"{RESUMABLE}, from the checkpoints; ask for machines that are not taken away, or raise it",
            )
