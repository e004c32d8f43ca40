"""A crew: a broker, and the trainers whose workers it feeds, each run in a thread of the driver."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import ray
from ray.train.torch import TorchTrainer
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from scmmlab.errors import ResourceError
from scmmlab.execution.broker import Attendance, Broker
from scmmlab.execution.cluster_view import draining_nodes, end_for_good, served
from scmmlab.execution.events import Event, TaskEnded, WorkerLost, WorkersAwaited
from scmmlab.execution.loss_budget import LossBudget
from scmmlab.execution.task import Task

LOOK_S = 1.0
"""Whether machines are being taken away is looked up so often."""
SAY_S = 10.0
"""That workers are waited for is said so often, at most."""
TRAIN_S = 60.0
"""Train's own patience with a cluster is longer than ours by this, so that it is we who say what is missing."""
STOP_TIMEOUT_S = 20.0
"""Workers that have done their work are given so long to go home."""
ABANDON_TIMEOUT_S = 3.0
"""Workers that are called away from their work are; Ray ends those that take longer, when the driver leaves it."""
ALONE_S = 10.0
"""A trainer whose workers have all gone home has so long to notice; one that waits for resources never does."""
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
    budget : LossBudget
        How many workers may be lost.
    shortage : callable
        What keeps workers from starting; None where nothing that they need is missing.
    start_timeout_s : float
        See `resources.start_timeout_s`.
    logs : str | None
        Where to look after an error.
    """

    def __init__(
        self,
        make_trainers: Callable[[Any], Sequence[MakeTrainer]],
        budget: LossBudget,
        shortage: Callable[[], str | None],
        start_timeout_s: float,
        logs: str | None = None,
    ):
        self._budget, self._shortage, self._start_timeout_s, self._logs = budget, shortage, start_timeout_s, logs
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        # on the driver's machine: without the driver nobody needs it
        self.broker = ray.remote(Broker).options(num_cpus=0, scheduling_strategy=here).remote()
        # read when a trainer starts
        os.environ["RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S"] = f"{start_timeout_s + TRAIN_S:g}"
        self._trainings = [
            _Training(make, partial(_end_controllers, self.broker, group))
            for group, make in enumerate(make_trainers(self.broker))
        ]
        self._unfinished: set[str] = set()
        self._looked_at = self._said_at = time.monotonic()
        self._draining: frozenset[str] = frozenset()
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

    def offer(self, follower: str, task: Task) -> None:
        """Queue a task that the tune_trial of that name follows."""
        self._unfinished.update(task.keys)
        self._ask("offer", follower, task)

    def cancel(self, key: str) -> None:
        """Have the training of `key` stopped."""
        self._ask("cancel", key)

    def events(self, timeout_s: float) -> list[Event]:
        """What has happened; waits up to `timeout_s` for something to happen.

        Raises
        ------
        ResourceError
            When there are tasks and more workers were lost than may be, or there have been none for
            `start_timeout_s`; or when the broker is lost.
        """
        self._budget.check(self._logs)
        self._look_for_drains()
        events: list[Event] = self._ask("events", timeout_s)
        for event in events:
            if isinstance(event, TaskEnded):
                self._unfinished.difference_update(outcome.key for outcome in event.outcomes)
            elif isinstance(event, WorkerLost):
                self._budget.count(event)
        if self._unfinished and not events:
            events += self._check()
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
                self._wait(deadline)
                self._end_trainers()
        ray.kill(self.broker)

    def _wait(self, deadline: float) -> None:
        """Until all trainers have ended, or none of them has a worker that could."""
        while (now := time.monotonic()) < deadline:
            alive = [training for training in self._trainings if training.is_alive()]
            if not alive:
                return
            alive[0].join(min(0.2, deadline - now))
            attendance: Attendance = ray.get(self.broker.attendance.remote(), timeout=STOP_TIMEOUT_S)
            if not attendance.workers and attendance.alone_s > ALONE_S:
                return

    def _end_trainers(self) -> None:
        """End the trainers that have not: what they still hold or wait for would be in the way of others."""
        if any(training.is_alive() for training in self._trainings):
            _end_controllers(self.broker)

    def _look_for_drains(self) -> None:
        now = time.monotonic()
        if now - self._looked_at < LOOK_S:
            return
        self._looked_at = now
        draining = draining_nodes()
        if draining != self._draining:
            self._draining = draining
            self._ask("drain", draining)

    def _ask(self, method: str, *arguments: object) -> Any:
        """What the broker answers."""
        try:
            return ray.get(getattr(self.broker, method).remote(*arguments))
        except (ray.exceptions.RayActorError, ray.exceptions.OutOfMemoryError) as error:
            raise ResourceError(
                f"The broker, through which the driver and its workers speak, was lost: {_last_line(error)}",
                hint=f"what is finished is kept, and the same command goes on; Ray's logs are in {self._logs}",
            ) from error

    def _check(self) -> list[Event]:
        """Whether anybody is there to do what is to be done."""
        if not any(training.is_alive() for training in self._trainings):
            error = next((training.error for training in self._trainings if training.error), None)
            raise ResourceError(
                f"Train has given up on its workers: {_last_line(error)}",
                hint=f"what is finished is kept, and the same command goes on; Ray's logs are in {self._logs}",
            ) from error
        attendance: Attendance = self._ask("attendance")
        if attendance.workers:
            return []
        limit_s = self._start_timeout_s
        if attendance.alone_s > limit_s:
            what = self._lacks() or "what they need is there, but none has come up"
            raise ResourceError(
                f"There has been no worker for {limit_s:g} s (resources.start_timeout_s): {what}.",
                hint="wait until others have finished, ask for less (resources.workers, cpus_per_worker, "
                f"gpus_per_worker, workers_per_cell) or add machines; Ray's logs are in {self._logs}",
            )
        say_s = min(SAY_S, limit_s / 3)
        if attendance.alone_s < say_s or time.monotonic() - self._said_at < say_s:
            return []
        self._said_at = time.monotonic()
        return [WorkersAwaited(self._lacks() or "they are being started", attendance.alone_s, limit_s)]

    def _lacks(self) -> str | None:
        """What is missing; None where the workers have what they need, and are on their way."""
        return None if served(self._ask("trainers")) else self._shortage()


class _Training(threading.Thread):
    """A trainer at work.

    Train replaces its workers, but not its controller, which is also lost when a worker dies in the moment in which it
    is being started. Another trainer's workers go on with what the lost one's were at.
    """

    def __init__(self, make: MakeTrainer, end_controller: Callable[[], None]):
        super().__init__(name="scmmlab-trainer", daemon=True)
        self._make, self._end_controller = make, end_controller
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
            # Train's own cleaner asks the dashboard, which may be silent
            with suppress(ray.exceptions.RayError):
                self._end_controller()
            _log.warning("Ray Train's controller was lost (%s); another takes its place.", _last_line(self.error))


def _end_controllers(broker: Any, group: int | None = None) -> None:
    """End the controllers of a group, or all, and free what their workers hold."""
    end_for_good(ray.get(broker.trainers.remote(group), timeout=STOP_TIMEOUT_S))


def _last_line(error: BaseException | None) -> str:
    lines = [line.strip() for line in f"{error}".splitlines() if line.strip()]
    return lines[-1] if lines else "no error was given"
