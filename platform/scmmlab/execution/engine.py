"""What an engine is: tasks go in, events come out, and no number depends on which one it is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from types import MappingProxyType, TracebackType
from typing import Self

from scmmlab.execution.events import EngineEvent
from scmmlab.execution.interruption import Interruption
from scmmlab.execution.task import Task
from scmmlab.methods.contract import RunsOn
from scmmlab.study.worker_losses import WorkerLosses

OnEvent = Callable[[EngineEvent], None]
STEP_S = 0.5
"""An engine is asked for events so often, at least, and an interruption is noticed."""


class Interrupted(BaseException):
    """Abandon the running training. No ``Exception``, so that no training takes it for its own failure."""


class Preempted(Interrupted):
    """Abandon it as the process is preempted; everything is saved."""


class Engine(ABC):
    """Runs tasks. A context: it takes its resources when it is entered, and frees them when it is left, done or not."""

    device: str = "cpu"
    """Kind of device that tasks run on which may run anywhere, ``cpu`` or ``cuda``; known once entered."""
    separate: bool = False
    """Whether tasks that run on the CPU alone have workers of their own; known once entered."""
    workers: int = 1
    """Tasks that run at a time; known once entered, and may change."""
    useful_workers: int | None = None
    """More workers than this would be idle; to be set before entering, where it is known."""
    useful_by_place: Mapping[RunsOn, int] = MappingProxyType({})
    """The same by where the tasks run, for those of which there will be any; tasks are of any place where it is empty.
    To be set before entering."""
    logs: str | None = None
    """Where to look after an error."""
    interruption: Interruption = Interruption()
    """Whether the run is to stop, checked wherever the engine waits; to be set before entering."""

    @property
    def losses(self) -> WorkerLosses:
        """Workers that were lost; none where tasks run in this process."""
        return WorkerLosses()

    def device_for(self, runs_on: RunsOn) -> str:
        """Kind of device of the workers that take such tasks."""
        return "cpu" if runs_on == "cpu" else self.device

    def workers_for(self, runs_on: RunsOn) -> int:
        """How many workers take such tasks, at least 1; all of them, unless they are `separate`."""
        return self.workers

    def ended(self, runs_on: RunsOn) -> None:
        """No more such tasks will come: workers that take no others may go."""
        assert not self.separate, "an engine that has workers for them alone lets these go"

    @abstractmethod
    def submit(self, task: Task) -> None:
        """Queue `task`, to be run after those that are queued."""

    @abstractmethod
    def cancel(self, key: str) -> None:
        """Have the training of `key` stopped at the next epoch that it reports."""

    @abstractmethod
    def step(self, on_event: OnEvent, timeout_s: float) -> None:
        """Let tasks run, and call `on_event` with what happened; return after `timeout_s` at the latest if nothing did.

        What `on_event` raises is raised here; running tasks are then abandoned.
        """

    @abstractmethod
    def open(self) -> None:
        """Take what is needed to run.

        Raises
        ------
        ResourceError
            When resources that the study requests do not exist.
        """

    @abstractmethod
    def close(self) -> None:
        """Abandon running tasks, and free all resources."""

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
