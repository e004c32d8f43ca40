"""A crew: a broker, and the trainers whose workers it feeds, each run in a thread of the driver."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import ray
from ray.train.torch import TorchTrainer
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from scmmlab.errors import ResourceError
from scmmlab.execution.broker import Broker
from scmmlab.execution.events import Event, TaskEnded, TaskStarted
from scmmlab.execution.task import Task

START_TIMEOUT_S = 180.0
"""Workers that have not begun to work by then never will."""
STOP_TIMEOUT_S = 20.0
"""Workers that have done their work are given so long to go home."""
ABANDON_TIMEOUT_S = 3.0
"""Workers that are called away from their work are; Ray ends those that take longer, when the driver leaves it."""
LOST_TRAINERS = 3
"""Times that another trainer takes the place of one that was lost itself, and not its workers."""

_log = logging.getLogger(__name__)

MakeTrainer = Callable[[], TorchTrainer]


class Crew:
    """Workers for tasks of one kind.

    Parameters
    ----------
    make_trainers : callable
        Broker → how each of the trainers is made, again where it is lost.
    logs : str | None
        Where to look after an error.
    """

    def __init__(self, make_trainers: Callable[[Any], Sequence[MakeTrainer]], logs: str | None = None):
        self._logs = logs
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        # on the driver's machine: without the driver nobody needs it
        self.broker = ray.remote(Broker).options(num_cpus=0, scheduling_strategy=here).remote()
        self._trainings = [_Training(make) for make in make_trainers(self.broker)]
        self._unfinished: set[str] = set()
        self._working = False
        self._started_at = time.monotonic()
        for training in self._trainings:
            training.start()

    @property
    def idle(self) -> bool:
        """Whether all tasks have ended."""
        return not self._unfinished

    def submit(self, task: Task) -> None:
        """Queue `task`."""
        self._unfinished.update(task.keys)
        self._ask("submit", [task])

    def offer(self, task: Task) -> None:
        """Hand over a task that is queued when somebody follows it."""
        self._unfinished.update(task.keys)
        self._ask("offer", task)

    def cancel(self, key: str) -> None:
        """Have the training of `key` stopped."""
        self._ask("cancel", key)

    def events(self, timeout_s: float) -> list[Event]:
        """What has happened; waits up to `timeout_s` for something to happen.

        Raises
        ------
        ResourceError
            When there are tasks, and no workers any more, or not after `START_TIMEOUT_S`; or when the broker is lost.
        """
        events: list[Event] = self._ask("events", timeout_s)
        for event in events:
            if isinstance(event, TaskStarted):
                self._working = True
            elif isinstance(event, TaskEnded):
                self._unfinished.difference_update(outcome.key for outcome in event.outcomes)
        if self._unfinished and not events:
            self._check()
        return events

    def stop(self) -> None:
        """Send the workers home, away from what they are at, and wait a while until they are gone."""
        for training in self._trainings:
            training.stopping = True
        if any(training.is_alive() for training in self._trainings):
            patience = STOP_TIMEOUT_S if self.idle else ABANDON_TIMEOUT_S
            deadline = time.monotonic() + patience
            with suppress(ray.exceptions.RayError):  # without a broker they find out by themselves
                ray.get(self.broker.stop.remote(abort=True), timeout=patience)
            for training in self._trainings:
                training.join(max(0.0, deadline - time.monotonic()))
        ray.kill(self.broker)

    def _ask(self, method: str, *arguments: object) -> Any:
        """What the broker answers."""
        try:
            return ray.get(getattr(self.broker, method).remote(*arguments))
        except ray.exceptions.RayActorError as error:
            raise ResourceError(
                f"The broker, through which the driver and its workers speak, was lost: {_last_line(error)}",
                hint=f"what is finished is kept, and the same command goes on; Ray's logs are in {self._logs}",
            ) from error

    def _check(self) -> None:
        if not any(training.is_alive() for training in self._trainings):
            error = next((training.error for training in self._trainings if training.error), None)
            raise ResourceError(
                f"Workers were lost more often than resources.max_failures allows; the last time: {_last_line(error)}",
                hint=f"what is finished is kept, and the same command goes on; Ray's logs are in {self._logs}",
            ) from error
        if not self._working and time.monotonic() - self._started_at > START_TIMEOUT_S:
            free = ", ".join(f"{amount:g} {name}" for name, amount in _free().items())
            raise ResourceError(
                f"No worker has started within {START_TIMEOUT_S:g} s; the cluster has {free or 'nothing'} free.",
                hint=f"wait until others have finished, or ask for less; Ray's logs are in {self._logs}",
            )


class _Training(threading.Thread):
    """A trainer at work.

    Train replaces its workers, but not its controller, which is also lost when a worker dies in the moment in which it
    is being started. Another trainer's workers go on with what the lost one's were at.
    """

    def __init__(self, make: MakeTrainer):
        super().__init__(name="scmmlab-trainer", daemon=True)
        self._make = make
        self.stopping = False
        """Whether the workers are being sent home."""
        self.error: BaseException | None = None

    def run(self) -> None:
        for lost in range(1, LOST_TRAINERS + 2):
            try:
                self._make().fit()
                return
            except (ray.train.ControllerError, ray.exceptions.RayActorError) as error:
                self.error = error
            except BaseException as error:  # for the driver's thread, which decides
                self.error = error
                return
            if self.stopping or lost > LOST_TRAINERS:
                return
            _log.warning("Ray Train's controller was lost (%s); another takes its place.", _last_line(self.error))


def _free() -> dict[str, float]:
    return {name: amount for name, amount in ray.available_resources().items() if name in ("CPU", "GPU")}


def _last_line(error: BaseException | None) -> str:
    lines = [line.strip() for line in f"{error}".splitlines() if line.strip()]
    return lines[-1] if lines else "no error was given"
