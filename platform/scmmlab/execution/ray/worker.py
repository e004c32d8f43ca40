"""What a worker of the gang does: ask the broker for a task, run it, hand the outcome back, and ask again."""

from __future__ import annotations

import uuid
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, NoReturn

import ray
import ray.train
import torch

from scmmlab.execution.encoding import replace_missing_letters
from scmmlab.execution.engine import Interrupted, Preempted
from scmmlab.execution.ray.broker import Assignment, Place
from scmmlab.execution.ray.kernel_kills import kernel_kills
from scmmlab.execution.ray.preemption import WorkerPreempted, departure
from scmmlab.execution.ray.reporter import StreamingReporter
from scmmlab.execution.ray.shared_tables import SharedTable, receive_tables
from scmmlab.execution.ray.task_queue import WorkerId
from scmmlab.execution.ray.train_watch import worker_name
from scmmlab.execution.run_task import run_task
from scmmlab.execution.sweep.slots import Slots, SweepStage
from scmmlab.execution.task import Outcome, Tables, Task
from scmmlab.training import StageFailure
from scmmlab.training.sweep_stage import SweepSlots

ASK_S = 10.0
"""A question for work waits so long for an answer before it is put again."""
TELL_S = 5.0
"""A broker that does not hear a notice within this time is taken to be gone."""


@dataclass(frozen=True)
class WorkerSettings:
    """What a worker is told when it starts."""

    broker: Any
    """Where it asks for work."""
    device: str
    """``cpu`` or ``cuda``."""
    threads: int
    """Of its arithmetic."""
    checkpoint_every: int
    """Epochs between checkpoints."""
    checkpoint_s: float
    """Seconds between those that leave the worker."""
    gather_s: float
    """Seconds for which news are gathered."""
    pack_size: int | None
    """Replicas that it trains together, at most."""
    slots: int
    """Settings of a sweep that it trains at a time."""
    sweep_stage: SweepStage = SweepSlots
    """What trains them."""


def gang_worker(config: dict[str, Any]) -> None:
    """The training function of the gang's ``TorchTrainer``.

    Parameters
    ----------
    config : dict
        ``settings`` (WorkerSettings), ``tables`` (from ``share_tables``) and ``first`` (number of the first worker).
    """
    replace_missing_letters()
    settings: WorkerSettings = config["settings"]
    shared: dict[str, SharedTable] = config["tables"]
    # this function runs in a thread of its own, and OpenMP counts threads by thread: here, not at the process's start
    torch.set_num_threads(settings.threads)
    broker = settings.broker
    me = WorkerId(worker_name(config["first"] + ray.train.get_context().get_world_rank()), uuid.uuid4().hex)
    ray.get(broker.arrive.remote(me, this_place()))
    departure.tell(lambda: ray.get(broker.going.remote(me.name), timeout=TELL_S))
    tables = receive_tables(shared)
    while True:
        assignment: Assignment = ray.get(broker.take.remote(me, ASK_S))
        if assignment.stop:
            return
        if assignment.leave:
            preempted(broker, me)
        if assignment.task is None:
            continue
        reporter = StreamingReporter(broker, me, [assignment.task], settings.checkpoint_s, settings.gather_s)
        work = _fill_slots if assignment.task.kind == "sweep" else _run
        try:
            work(assignment.task, settings, me, tables, reporter)
        except Preempted:
            preempted(broker, me)
        except Interrupted:
            continue
        finally:
            reporter.close()


def _run(task: Task, settings: WorkerSettings, me: WorkerId, tables: Tables, reporter: StreamingReporter) -> None:
    outcomes = run_task(task, tables, reporter, settings.device, settings.checkpoint_every, settings.pack_size)
    reporter.end(task)
    ray.get(settings.broker.finish.remote(me, task.id, with_log(outcomes)))


def this_place() -> Place:
    """Where this process is."""
    return Place(nodes=(ray.get_runtime_context().get_node_id(),), log=_log(), kernel_kills=(kernel_kills(),))


def preempted(broker: Any, me: WorkerId) -> NoReturn:
    """Hand back what is not done, and end, so that Train puts another worker in this one's place.

    Raises
    ------
    WorkerPreempted
        Always.
    """
    ray.get(broker.release.remote(me))
    raise WorkerPreempted(f"{me} was told to go")


def with_log(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """`outcomes`, of which failures say where this process's log is."""
    return [replace(outcome, log=_log()) if isinstance(outcome, StageFailure) else outcome for outcome in outcomes]


@cache
def _log() -> str:
    """The file that this process's output goes to, and on which machine."""
    return f"{ray._private.worker.global_worker.get_err_file_path()} on {ray.util.get_node_ip_address()}"


def _fill_slots(
    first: Task, settings: WorkerSettings, me: WorkerId, tables: Tables, reporter: StreamingReporter
) -> None:
    def more(fit: Hashable, free: int) -> list[Task]:
        tasks: list[Task] = ray.get(settings.broker.take_more.remote(me, fit, free))
        reporter.add(tasks)
        return tasks

    slots = Slots(
        first, tables, reporter, settings.device, settings.checkpoint_every, settings.slots, settings.sweep_stage
    )
    while not slots.done:
        for task, outcomes in slots.step(more):
            reporter.end(task)
            ray.get(settings.broker.finish.remote(me, task.id, with_log(outcomes)))
