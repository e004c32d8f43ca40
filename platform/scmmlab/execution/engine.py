"""What an engine is: tasks go in, events come out, and no number depends on which one it is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from types import TracebackType
from typing import Self

from scmmlab.execution.events import Event
from scmmlab.execution.interruption import Interruption
from scmmlab.execution.task import Task

Emit = Callable[[Event], None]


class Interrupted(BaseException):
    """Leave the training that is going on. No ``Exception``, so that no training takes it for its own failure."""


class Preempted(Interrupted):
    """Leave it, as the process has been told to go; everything is saved."""


class Engine(ABC):
    """Runs tasks. A context: entered, it has what it needs to run; left, it has let go of everything, done or not."""

    device: str = "cpu"
    """Kind of device that tasks run on, ``cpu`` or ``cuda``; known once entered."""
    workers: int = 1
    """Tasks that run at a time; known once entered, and may change."""
    useful_workers: int | None = None
    """More workers than this would have nothing to do; to be set before entering, where it is known."""
    logs: str | None = None
    """Where to look after an error, besides the error."""
    interruption: Interruption = Interruption()
    """Whether the run is to stop, which what waits looks at; to be set before entering."""

    @abstractmethod
    def submit(self, task: Task) -> None:
        """Queue `task`, to be run after those that are queued."""

    @abstractmethod
    def cancel(self, key: str) -> None:
        """Have the training of `key` stopped at the next epoch that it reports."""

    @abstractmethod
    def step(self, emit: Emit, timeout_s: float) -> None:
        """Let work go on, and hand what happened to `emit`; return after `timeout_s` at the latest if nothing did.

        What `emit` raises is raised here; the work that was going on is then abandoned.
        """

    @abstractmethod
    def open(self) -> None:
        """Get ready.

        Raises
        ------
        ResourceError
            When there is not what was asked for.
        """

    @abstractmethod
    def close(self) -> None:
        """Abandon what is going on, and let go of everything."""

    def __enter__(self) -> Self:
        try:
            self.open()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
