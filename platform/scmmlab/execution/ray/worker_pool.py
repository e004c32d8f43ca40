"""A crew: a broker, and the groups of workers that it feeds, as far as the driver speaks with them."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from contextlib import suppress
from typing import Any, TypeVar

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from scmmlab.errors import ScmmlabError, TryAgainError
from scmmlab.execution.engine import Interrupted
from scmmlab.execution.events import Event, TaskEnded, WorkerLost, WorkersAwaited, WorkersChanged
from scmmlab.execution.interruption import Interruption
from scmmlab.execution.ray.broker import Attendance, Broker
from scmmlab.execution.ray.cluster_view import dead_nodes, draining_nodes, free_resources, machines, notice_s
from scmmlab.execution.ray.head_watch import HeadWatch
from scmmlab.execution.ray.loss_budget import LossBudget
from scmmlab.execution.ray.resources import WorkerPlan, shortage
from scmmlab.execution.ray.worker_groups import STOP_TIMEOUT_S, MakeTrainer, WorkerGroups, last_line
from scmmlab.execution.task import Task

T = TypeVar("T")

LOOK_S = 1.0
"""What the cluster has, and has lost, is looked up so often."""
COME_UP_S = 420.0
"""Workers that have what they need have so much longer to come up: they import much, from a disk that may be far."""
SAY_S = 10.0
"""That workers are waited for is said so often, at most."""
START_S = 30.0
"""Train waits so long for the place of workers, of which there was enough when they were asked for."""
ABANDON_TIMEOUT_S = 3.0
"""Workers that are called away from their work are given so long; Ray ends those that take longer."""
ALONE_S = 10.0
"""A trainer whose workers have all gone home has so long to notice; one that waits for resources never does."""
ANSWER_S = 300.0
"""The broker has so long to answer: it is never busy for long, but takes its time to come up on a busy machine."""
SLICE_S = 0.5
"""While an answer is waited for, it is looked up so often whether the run is to stop."""


class Crew:
    """Workers for tasks of one kind.

    Parameters
    ----------
    prepare : callable
        Broker → what workers are given, being got ready; returns how the trainer of a group is made.
    plan : WorkerPlan
        What a worker has, and how many there may be.
    budget : LossBudget
        How many workers may be lost.
    start_timeout_s : float
        See `resources.start_timeout_s`.
    least : int
        Workers that there are at the beginning, at least.
    together : int | None
        Workers that share a cell; None where each is by itself.
    interruption : Interruption
        Whether the run is to stop.
    head : HeadWatch
        Whether Ray's head is there.
    logs : str | None
        Where to look after an error.
    """

    def __init__(
        self,
        prepare: Callable[[Any], MakeTrainer],
        plan: WorkerPlan,
        budget: LossBudget,
        start_timeout_s: float,
        least: int,
        together: int | None,
        interruption: Interruption,
        head: HeadWatch,
        logs: str | None = None,
    ):
        self._plan, self._budget, self._start_timeout_s, self._logs = plan, budget, start_timeout_s, logs
        self._interruption, self._head = interruption, head
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        # on the driver's machine, like Train's controllers: without the driver nobody needs them
        self.broker = ray.remote(Broker).options(num_cpus=0, scheduling_strategy=here).remote(notice_s=notice_s())
        # read when a trainer starts
        os.environ["RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S"] = f"{START_S:g}"
        self._groups = WorkerGroups(self.broker, self._ask, lambda: prepare(self.broker), plan, least, together)
        self._unfinished: set[str] = set()
        self._dead = frozenset(dead_nodes())  # of the past
        self._looked_at = self._said_at = float("-inf")
        self._lacking_since: float | None = None

    @property
    def idle(self) -> bool:
        """Whether all tasks have ended."""
        return not self._unfinished

    @property
    def workers(self) -> int:
        """That there are, those that are being started included."""
        return self._groups.workers

    @property
    def begun(self) -> bool:
        """Whether any were started."""
        return self._groups.begun

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
        TryAgainError
            When there are tasks and more workers were lost than may be, or there have been none for
            `start_timeout_s`; or when the broker is lost.
        """
        self._budget.check(self._logs)
        self._head.check()
        changes = self._look()
        events: list[Event] = [*changes, *self._ask("events", 0.0 if changes else timeout_s)]
        for event in events:
            if isinstance(event, TaskEnded):
                self._unfinished.difference_update(outcome.key for outcome in event.outcomes)
            elif isinstance(event, WorkerLost):
                self._budget.count(event)
        if self._unfinished and not events and not self._head.silent:
            events += self._check()
        return events

    def stop(self) -> None:
        """Send the workers home, away from what they are at, and wait a while until they are gone."""
        if not self._head.answers():
            return  # Ray's own calls would wait for it
        if self._groups.threads:
            patience = STOP_TIMEOUT_S if self.idle else ABANDON_TIMEOUT_S
            deadline = time.monotonic() + patience
            with suppress(ray.exceptions.RayError):  # without a broker they find out by themselves
                ray.get(self.broker.stop.remote(abort=True), timeout=patience)
                self._wait(deadline)
                self._groups.end()
        ray.kill(self.broker)

    def _wait(self, deadline: float) -> None:
        """Until all trainers have ended, or none of them has a worker that could."""
        while (now := time.monotonic()) < deadline:
            if not (alive := self._groups.threads):
                return
            alive[0].join(min(0.2, deadline - now))
            attendance: Attendance = ray.get(self.broker.attendance.remote(), timeout=STOP_TIMEOUT_S)
            if not attendance.workers and attendance.alone_s > ALONE_S:
                return

    def _look(self) -> list[Event]:
        """See what the cluster has lost and has, and have as many workers as there may be."""
        now = time.monotonic()
        # without its head Ray knows nothing of the cluster, and does not say so
        if now - self._looked_at < LOOK_S or self._head.silent:
            return []
        self._looked_at = now
        dead, draining, places = self._tell(dead_nodes), self._tell(draining_nodes), self._ask("places")
        self._ask("look", dead, draining)
        found: list[Event] = []
        before = self._groups.workers
        self._groups.locate(places, draining)
        if self._groups.workers < before:
            found.append(WorkersChanged(self._groups.workers, before, self._most, "A machine is being taken away"))
        new, before = dead.keys() - self._dead, self._groups.workers
        self._dead = frozenset(dead)
        if self._groups.lose(new) and self._groups.workers < before:
            gone = " and ".join(sorted({dead[node] for node in new}))
            found.append(WorkersChanged(self._groups.workers, before, self._most, f"Machine {gone} was lost"))
        self._groups.look_after()
        before, begun = self._groups.workers, self._groups.begun
        # the last tasks need no more than are at them
        if len(self._unfinished) > before and self._groups.grow(self._tell(free_resources), places):
            if begun:
                found.append(WorkersChanged(self._groups.workers, before, self._most, "There is room"))
            elif self._groups.workers < self._plan.workers:
                found.append(WorkersChanged(self._groups.workers, before, self._most, "Begun with what there is"))
        return found

    @property
    def _most(self) -> int:
        return max(self._plan.workers, self._groups.workers)

    def _ask(self, method: str, *arguments: object) -> Any:
        """What the broker answers."""
        answer, deadline = getattr(self.broker, method).remote(*arguments), time.monotonic() + ANSWER_S
        try:
            while True:
                self._stop_or_go_on()
                with suppress(ray.exceptions.GetTimeoutError):
                    return ray.get(answer, timeout=SLICE_S)
                if time.monotonic() > deadline:
                    raise self._lost(f"it has not answered for {ANSWER_S:g} s")
        except (ray.exceptions.RayActorError, ray.exceptions.OutOfMemoryError) as error:
            if not self._head.answers():
                raise self._head.loss("it takes no connection any more, and its actors are gone") from error
            raise self._lost(last_line(error)) from error

    def _tell(self, question: Callable[[], T]) -> T:
        """What Ray's head says: its calls wait for a head that has just gone, hear no signal, and end the program."""
        answer: Future[T] = Future()
        threading.Thread(target=_answer, args=(question, answer), name="scmmlab-look", daemon=True).start()
        while not wait([answer], SLICE_S).done:
            self._stop_or_go_on()
        return answer.result()

    def _stop_or_go_on(self) -> None:
        if self._interruption.requested:
            raise Interrupted
        self._head.check()

    def _lost(self, why: str) -> TryAgainError:
        return TryAgainError(
            f"The broker, through which the driver and its workers speak, was lost: {why}",
            hint=f"what is finished is kept, and the same command goes on; Ray's logs are in {self._logs}",
        )

    def _check(self) -> list[Event]:
        """Whether anybody is there to do what is to be done."""
        error = self._groups.error
        if error is not None and not self._groups.workers:
            if isinstance(error, ScmmlabError):
                raise error
            raise TryAgainError(
                f"Train has given up on its workers: {last_line(error)}",
                hint=f"what is finished is kept, and the same command goes on; Ray's logs are in {self._logs}",
            ) from error
        attendance: Attendance = self._ask("attendance")
        if attendance.workers:
            return []
        lacks, now = self._lacks(), time.monotonic()
        if lacks is None:
            self._lacking_since = None
            waited_s, limit_s = attendance.alone_s, self._start_timeout_s + COME_UP_S
        else:
            self._lacking_since = now if self._lacking_since is None else self._lacking_since
            waited_s, limit_s = now - self._lacking_since, self._start_timeout_s
        if waited_s > limit_s or attendance.alone_s > self._start_timeout_s + COME_UP_S:
            what = lacks or "what they need is there, but none has come up"
            raise TryAgainError(
                f"There has been no worker for {limit_s:g} s (resources.start_timeout_s): {what}.",
                hint="wait until others have finished, ask for less (resources.workers, cpus_per_worker, "
                f"gpus_per_worker, workers_per_cell) or add machines; Ray's logs are in {self._logs}",
            )
        say_s = min(SAY_S, limit_s / 3)
        if (lacks is None and waited_s < say_s) or now - self._said_at < say_s:
            return []
        self._said_at = now
        return [WorkersAwaited(lacks or "they are being started", waited_s, limit_s)]

    def _lacks(self) -> str | None:
        """What is missing; None where the workers have what they need, and are on their way."""
        if self._groups.workers:
            return None
        return shortage(
            self._plan, self._groups.together, self._tell(machines), list(self._tell(free_resources).values())
        )


def _answer(question: Callable[[], T], answer: Future[T]) -> None:
    try:
        answer.set_result(question())
    except BaseException as error:  # for the thread that waits
        answer.set_exception(error)
