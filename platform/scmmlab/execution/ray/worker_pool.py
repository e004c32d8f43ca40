"""A worker pool: a broker and the groups of workers that take tasks from it, as the driver sees them."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future, wait
from contextlib import suppress
from typing import TypeVar, cast

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from scmmlab.errors import ScmmlabError, TryAgainError
from scmmlab.execution.engine import Interrupted
from scmmlab.execution.events import EngineEvent, TaskEnded, TasksWait, WorkerLost, WorkersAwaited, WorkersChanged
from scmmlab.execution.interruption import RESUMABLE, Interruption
from scmmlab.execution.ray.broker import Broker
from scmmlab.execution.ray.cluster_view import (
    dead_nodes,
    free_resources,
    node_death_s,
    node_resources,
    resources_by_node,
)
from scmmlab.execution.ray.head_watch import HeadWatch
from scmmlab.execution.ray.loss_budget import LossBudget
from scmmlab.execution.ray.messages import BrokerHandle, Reference, get
from scmmlab.execution.ray.private import draining_nodes
from scmmlab.execution.ray.resources import WorkerPlan, place_workers, shortage
from scmmlab.execution.ray.worker_groups import (
    STOP_TIMEOUT_S,
    MakeTrainer,
    Preparation,
    WorkerGroups,
    WorkerNumbers,
    last_line,
)
from scmmlab.execution.task import Task
from scmmlab.methods.contract import RunsOn

T = TypeVar("T")

LOOK_S = 1.0
"""How often the state of the cluster is looked up."""
START_UP_S = 420.0
"""Workers that have their resources have so much longer to start: they import much, maybe from a network disk."""
STATUS_S = 10.0
"""How often the progress line says that workers are waited for, at most."""
START_S = 30.0
"""Train waits so long for the resources of workers, which were free when the workers were requested."""
ABANDON_TIMEOUT_S = 3.0
"""Workers have so long to leave a task that is abandoned; Ray ends those that take longer."""
ALONE_S = 10.0
"""A trainer whose workers have all ended has so long to notice; one that waits for resources never does."""
ANSWER_S = 300.0
"""The broker has so long to answer: it is never busy for long, but may start slowly on a busy machine."""
SLICE_S = 0.5
"""While waiting for an answer, how often the run checks whether it is to stop."""


class WorkerPool:
    """Workers for tasks of one kind.

    Parameters
    ----------
    prepare : callable
        Broker → how the trainer of a group is made; prepares what workers are given.
    plans : sequence of WorkerPlan
        What a worker has, and how many there may be: of all workers, or of GPU workers and, after them, CPU workers.
    budget : LossBudget
        How many workers may be lost.
    start_timeout_s : float
        See `resources.start_timeout_s`.
    least : sequence of int
        Fewest workers of each plan to start with.
    together : int | None
        Workers that share a cell; None where each trains on its own.
    interruption : Interruption
        Whether the run is to stop.
    head : HeadWatch
        Whether Ray's head is alive.
    logs : str | None
        Where to look after an error.
    """

    def __init__(
        self,
        prepare: Callable[[BrokerHandle], MakeTrainer],
        plans: Sequence[WorkerPlan],
        budget: LossBudget,
        start_timeout_s: float,
        least: Sequence[int],
        together: int | None,
        interruption: Interruption,
        head: HeadWatch,
        logs: str | None = None,
    ):
        self._budget, self._start_timeout_s, self._logs = budget, start_timeout_s, logs
        self._interruption, self._head = interruption, head
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        # on the driver's machine, like Train's controllers: without the driver nobody needs them
        actor = ray.remote(Broker).options(num_cpus=0, scheduling_strategy=here).remote(node_death_s=node_death_s())
        self.broker = cast(BrokerHandle, actor)
        # read when a trainer starts
        os.environ["RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S"] = f"{START_S:g}"
        self._preparation, numbers = Preparation(lambda: prepare(self.broker)), WorkerNumbers()
        self._kinds = [
            WorkerGroups(self.broker, self._ask, self._preparation, numbers, plan, fewest, together)
            for plan, fewest in zip(plans, least, strict=True)
        ]
        self._unfinished: dict[str, RunsOn] = {}
        self._dead = frozenset(dead_nodes())  # of the past
        self._looked_at = self._status_at = float("-inf")
        self._lacking_since: float | None = None
        self._told_to_wait: set[str] = set()

    @property
    def idle(self) -> bool:
        """Whether all tasks have ended."""
        return not self._unfinished

    @property
    def workers(self) -> int:
        """How many there are, including those that are being started."""
        return sum(groups.workers for groups in self._kinds)

    def workers_for(self, runs_on: RunsOn) -> int:
        """The same of those that take such tasks."""
        return sum(groups.workers for groups in self._kinds if runs_on in groups.plan.takes)

    @property
    def begun(self) -> bool:
        """Whether any were started."""
        return any(groups.begun for groups in self._kinds)

    def submit(self, task: Task, followed: bool = False) -> None:
        """Queue `task`; with `followed`, Tune's trials show its training."""
        self._unfinished.update(dict.fromkeys(task.keys, task.runs_on))
        self._ask(self.broker.submit.remote([task], followed))

    def cancel(self, key: str) -> None:
        """Have the training of `key` stopped."""
        if self._ask(self.broker.cancel.remote(key)):
            self._unfinished.pop(key, None)

    def ended(self, runs_on: RunsOn) -> None:
        """No more such tasks will come: workers that take no others are ended."""
        for groups in self._kinds:
            if groups.plan.takes == (runs_on,) and not groups.ended:
                groups.finish()

    def events(self, timeout_s: float) -> list[EngineEvent]:
        """What has happened; waits up to `timeout_s` for something to happen.

        Raises
        ------
        TryAgainError
            When more workers were lost than the budget allows; when there are tasks and have been no workers for
            `start_timeout_s`; or when the broker is lost.
        """
        self._budget.check(self._logs)
        self._head.check()
        changes = self._look()
        events: list[EngineEvent] = [*changes, *self._ask(self.broker.events.remote(0.0 if changes else timeout_s))]
        for event in events:
            if isinstance(event, TaskEnded):
                for outcome in event.outcomes:
                    self._unfinished.pop(outcome.key, None)
            elif isinstance(event, WorkerLost):
                self._budget.count(event)
        if self._unfinished and not events and not self._head.silent:
            events += self._check()
        return events

    def stop(self) -> None:
        """Stop all workers, abandoning their tasks, and wait a while until they have ended."""
        if not self._head.answers():
            return  # Ray's own calls would hang
        if self._threads:
            timeout_s = STOP_TIMEOUT_S if self.idle else ABANDON_TIMEOUT_S
            deadline = time.monotonic() + timeout_s
            with suppress(ray.exceptions.RayError):  # without a broker they end by themselves
                get(self.broker.stop.remote(True), timeout=timeout_s)
                self._wait(deadline)
                for groups in self._kinds:
                    groups.end()
        ray.kill(self.broker)

    def _wait(self, deadline: float) -> None:
        """Until all trainers have ended, or none of them has a worker that could."""
        while (now := time.monotonic()) < deadline:
            if not (alive := self._threads):
                return
            alive[0].join(min(0.2, deadline - now))
            count = get(self.broker.count_workers.remote(), timeout=STOP_TIMEOUT_S)
            if not count.workers and count.without_s > ALONE_S:
                return

    @property
    def _threads(self) -> list[threading.Thread]:
        """In which trainers run."""
        return [thread for groups in self._kinds for thread in groups.threads]

    def _look(self) -> list[EngineEvent]:
        """See what the cluster has and has lost, and start as many workers as there may be."""
        now = time.monotonic()
        # without its head Ray knows nothing of the cluster, but does not say so
        if now - self._looked_at < LOOK_S or self._head.silent:
            return []
        self._looked_at = now
        dead, draining = self._ask_head(dead_nodes), self._ask_head(draining_nodes)
        worker_nodes = self._ask(self.broker.worker_nodes.remote())
        self._ask(self.broker.update_nodes.remote(dead, draining))
        found: list[EngineEvent] = []
        new = dead.keys() - self._dead
        self._dead = frozenset(dead)
        for groups in self._kinds:
            before = groups.workers
            groups.locate(worker_nodes, draining)
            if groups.workers < before:
                found.append(_changed(groups, before, "A machine is being drained"))
            before = groups.workers
            if groups.lose(new) and groups.workers < before:
                gone = " and ".join(sorted({dead[node] for node in new}))
                found.append(_changed(groups, before, f"Machine {gone} was lost"))
            groups.look_after()
        return [*found, *self._grow(worker_nodes), *self._waiting()]

    def _grow(self, started: Collection[str]) -> list[EngineEvent]:
        """Start as many workers as there may be, where workers of these names have started."""
        there = [groups.state(started, self._left(groups)) for groups in self._kinds]
        if not any(state.wants_more for state in there):
            return []
        free = self._ask_head(free_resources)
        nodes = self._ask_head(resources_by_node) if len(there) > 1 else {}
        placed = place_workers(there, free, nodes)
        make = self._preparation.result() if any(placed) else None
        if make is None:
            return []
        found: list[EngineEvent] = []
        for groups, new in zip(self._kinds, placed, strict=True):
            before, begun = groups.workers, groups.begun
            groups.start(make, new)
            if new and begun:
                found.append(_changed(groups, before, "Resources became free"))
            elif new and groups.workers < groups.plan.workers:
                found.append(_changed(groups, before, "Starting with the resources that are free"))
        return found

    def _left(self, groups: WorkerGroups) -> int:
        """Requests that these workers take, and that have not ended."""
        return sum(place in groups.plan.takes for place in self._unfinished.values())

    def _ask(self, question: Reference[T]) -> T:
        """What the broker answers."""
        deadline = time.monotonic() + ANSWER_S
        try:
            while True:
                self._stop_or_go_on()
                with suppress(ray.exceptions.GetTimeoutError):
                    return get(question, timeout=SLICE_S)
                if time.monotonic() > deadline:
                    raise self._lost(f"it has not answered for {ANSWER_S:g} s")
        except (ray.exceptions.RayActorError, ray.exceptions.OutOfMemoryError) as error:
            if not self._head.answers():
                raise self._head.loss("it no longer accepts connections, and its actors are gone") from error
            raise self._lost(last_line(error)) from error

    def _ask_head(self, question: Callable[[], T]) -> T:
        """What Ray's head answers: calls to a head that was just lost hang, ignore signals, and end the program."""
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
            f"The broker, which connects the driver and its workers, was lost: {why}",
            hint=f"{RESUMABLE}; Ray's logs are in {self._logs}",
        )

    def _check(self) -> list[EngineEvent]:
        """Whether there are workers for the tasks."""
        for groups in self._kinds:
            error = groups.error
            if error is not None and not groups.workers and self._left(groups):
                if isinstance(error, ScmmlabError):
                    raise error
                raise TryAgainError(
                    f"Ray Train gave up on its workers: {last_line(error)}",
                    hint=f"{RESUMABLE}; Ray's logs are in {self._logs}",
                ) from error
        count = self._ask(self.broker.count_workers.remote())
        if count.workers:
            return []
        lacks, now = self._lacks(), time.monotonic()
        if lacks is None:
            self._lacking_since = None
            waited_s, limit_s = count.without_s, self._start_timeout_s + START_UP_S
        else:
            self._lacking_since = now if self._lacking_since is None else self._lacking_since
            waited_s, limit_s = now - self._lacking_since, self._start_timeout_s
        if waited_s > limit_s or count.without_s > self._start_timeout_s + START_UP_S:
            what = lacks or "their resources are free, but none has started"
            raise TryAgainError(
                f"There has been no worker for {limit_s:g} s (resources.start_timeout_s): {what}.",
                hint="wait until others have finished, request less (resources.workers, cpus_per_worker, "
                f"gpus_per_worker, workers_per_cell) or add machines; Ray's logs are in {self._logs}",
            )
        status_s = min(STATUS_S, limit_s / 3)
        if (lacks is None and waited_s < status_s) or now - self._status_at < status_s:
            return []
        self._status_at = now
        return [WorkersAwaited(lacks or "they are being started", waited_s, limit_s)]

    def _waiting(self) -> list[EngineEvent]:
        """Whether the workers of one kind keep those of another from starting; it is told once."""
        working = [groups for groups in self._kinds if groups.workers and self._left(groups)]
        found: list[EngineEvent] = []
        for groups in self._kinds:
            noun = groups.plan.noun
            if not working or noun in self._told_to_wait or groups.workers or not self._left(groups):
                continue
            if (lacks := self._shortage(groups)) is not None:
                self._told_to_wait.add(noun)
                found.append(TasksWait(noun, lacks))
        return found

    def _lacks(self) -> str | None:
        """What is missing; None where the workers have their resources and are starting."""
        if self.workers:
            return None
        lacks = [self._shortage(groups) for groups in self._kinds if self._left(groups)]
        return next((lack for lack in lacks if lack is None), lacks[0])

    def _shortage(self, groups: WorkerGroups) -> str | None:
        free = list(self._ask_head(free_resources).values())
        return shortage(groups.plan, groups.together, self._ask_head(node_resources), free)


def _changed(groups: WorkerGroups, before: int, why: str) -> WorkersChanged:
    return WorkersChanged(groups.workers, before, groups.most, why, groups.plan.noun)


def _answer(question: Callable[[], T], answer: Future[T]) -> None:
    try:
        answer.set_result(question())
    except BaseException as error:  # for the thread that waits
        answer.set_exception(error)
