"""The loop of a worker: ask the broker for a task, run it, hand the outcome back, and ask again."""

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
from scmmlab.execution.ray.kernel_kills import kernel_kills
from scmmlab.execution.ray.messages import BrokerHandle, WorkerInfo, get
from scmmlab.execution.ray.preemption import WorkerPreempted, preemption_notice
from scmmlab.execution.ray.private import worker_log
from scmmlab.execution.ray.reporter import StreamingReporter
from scmmlab.execution.ray.shared_tables import SharedTable, receive_tables
from scmmlab.execution.ray.task_queue import WorkerId, worker_name
from scmmlab.execution.run_sweep_tasks import MakeSweepSlots, SweepTaskRunner
from scmmlab.execution.run_task import run_task
from scmmlab.execution.task import Outcome, Places, Task
from scmmlab.training import StageFailure
from scmmlab.training.data import Tables
from scmmlab.training.sweep_stage import SweepSlots

ASK_S = 10.0
"""A worker waits so long for a task before it asks again."""
NOTIFY_S = 5.0
"""A broker that does not confirm a preemption notice within this time is taken to be lost."""


@dataclass(frozen=True)
class WorkerSettings:
    """What a worker is told when it starts."""

    broker: BrokerHandle
    """Where it asks for tasks."""
    device: str
    """``cpu`` or ``cuda``."""
    takes: Places
    """Where the tasks run that it takes."""
    threads: int
    """Of its arithmetic."""
    checkpoint_every: int
    """Epochs between checkpoints."""
    checkpoint_s: float
    """Seconds between those that leave the worker."""
    gather_s: float
    """Seconds for which progress is gathered before it is sent."""
    pack_size: int | None
    """Replicas that it trains together, at most."""
    slots: int
    """Settings of a sweep that it trains at a time."""
    make_sweep_slots: MakeSweepSlots = SweepSlots
    """Makes what trains them."""


def independent_worker(config: dict[str, Any]) -> None:
    """The training function of workers that train on their own.

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
    get(broker.register_worker.remote(me, worker_info()))
    preemption_notice.notify(lambda: get(broker.preempt.remote(me.name), timeout=NOTIFY_S))
    tables = receive_tables(shared)
    while True:
        assignment = get(broker.take.remote(me, ASK_S, settings.takes))
        if assignment.stop:
            return
        if assignment.preempted:
            end_preempted(broker, me)
        if assignment.task is None:
            continue
        reporter = StreamingReporter(broker, me, [assignment.task], settings.checkpoint_s, settings.gather_s)
        run = _run_sweep_tasks if assignment.task.kind == "sweep" else _run_grid_task
        try:
            run(assignment.task, settings, me, tables, reporter)
        except Preempted:
            end_preempted(broker, me)
        except Interrupted:
            continue
        finally:
            reporter.close()


def _run_grid_task(
    task: Task, settings: WorkerSettings, me: WorkerId, tables: Tables, reporter: StreamingReporter
) -> None:
    outcomes = run_task(task, tables, reporter, settings.device, settings.checkpoint_every, settings.pack_size)
    reporter.end(task)
    get(settings.broker.finish.remote(me, task.id, with_log(outcomes)))


def worker_info() -> WorkerInfo:
    """Where this process runs."""
    return WorkerInfo(nodes=(ray.get_runtime_context().get_node_id(),), log=_log(), kernel_kills=(kernel_kills(),))


def end_preempted(broker: BrokerHandle, me: WorkerId) -> NoReturn:
    """Hand back what is not done, and end, so that Train starts another worker in place of this one.

    Raises
    ------
    WorkerPreempted
        Always.
    """
    get(broker.release.remote(me))
    raise WorkerPreempted(f"{me} received a preemption notice")


def with_log(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """`outcomes`, with the path of this process's log in those that are failures."""
    return [replace(outcome, log=_log()) if isinstance(outcome, StageFailure) else outcome for outcome in outcomes]


@cache
def _log() -> str:
    """The file that this process's output goes to, and on which machine."""
    return f"{worker_log()} on {ray.util.get_node_ip_address()}"


def _run_sweep_tasks(
    first: Task, settings: WorkerSettings, me: WorkerId, tables: Tables, reporter: StreamingReporter
) -> None:
    def more(signature: Hashable, free: int) -> list[Task]:
        tasks = get(settings.broker.take_more.remote(me, signature, free, settings.takes))
        reporter.add(tasks)
        return tasks

    runner = SweepTaskRunner(
        first, tables, reporter, settings.device, settings.checkpoint_every, settings.slots, settings.make_sweep_slots
    )
    while not runner.done:
        for task, outcomes in runner.step(more):
            reporter.end(task)
            get(settings.broker.finish.remote(me, task.id, with_log(outcomes)))
