"""Who works at what, and what becomes of the tasks of lost workers."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scmmlab.execution.ray.task_queue import LossDecision, TaskQueue, WorkerId
from scmmlab.execution.task import Task
from scmmlab.methods.contract import RunsOn


@dataclass(frozen=True)
class FakeRequest:
    key: str


def task(name: str, *keys: str, runs_on: RunsOn = "any") -> Task:
    return Task(name, [FakeRequest(key) for key in keys or (name,)], runs_on=runs_on)


ONE, TWO = WorkerId("worker 0", "a"), WorkerId("worker 1", "b")
ONE_AGAIN = WorkerId("worker 0", "c")


def test_tasks_are_taken_in_order_and_once():
    queue = TaskQueue()
    queue.submit(task("x"))
    queue.submit(task("y"))
    assert queue.take(ONE, 0.0)[0].id == "x"
    assert queue.take(TWO, 0.0)[0].id == "y"
    assert queue.take(TWO, 0.0) is None


def test_gpu_worker_takes_no_task_of_the_cpu_and_a_cpu_worker_no_other():
    queue = TaskQueue()
    for name, runs_on in (("svm", "cpu"), ("scmm", "any"), ("knn", "cpu")):
        queue.submit(task(name, runs_on=runs_on))
    gpu, cpu = {"places": ("any",)}, {"places": ("cpu",)}
    assert queue.take(ONE, 0.0, **gpu)[0].id == "scmm", "the tasks before it are not its own"
    assert queue.take(ONE, 0.0, **gpu) is None, "it is idle rather than held up"
    assert [queue.take(TWO, 0.0, **cpu)[0].id for _ in range(2)] == ["svm", "knn"]
    assert queue.take(TWO, 0.0, **cpu) is None


def test_task_of_the_cpu_stays_one_when_its_worker_is_lost_and_when_it_is_halved():
    queue = TaskQueue(attempts=2)
    queue.submit(task("pack", "a", "b", runs_on="cpu"))
    for _ in range(2):
        assert queue.take(ONE, 0.0, places=("any",)) is None
        assert queue.take(TWO, 0.0, places=("cpu",)) is not None
        (loss,) = queue.lose_worker(TWO.name, "it died")
    assert loss.decision is LossDecision.HALVE
    assert queue.take(ONE, 0.0, places=("any",)) is None
    assert [queue.take(TWO, 0.0, places=("cpu",))[0].keys for _ in range(2)] == [("a",), ("b",)]


def test_successor_of_a_worker_gets_its_task_at_once():
    queue = TaskQueue(lease_s=60)
    queue.submit(task("x"))
    queue.take(ONE, 0.0)
    (loss,) = queue.replace_worker(ONE_AGAIN)
    assert loss.decision is LossDecision.RUN_AGAIN
    taken, attempt = queue.take(ONE_AGAIN, 1.0)
    assert (taken.id, attempt) == ("x", 2)


def test_worker_that_asks_again_keeps_its_task():
    queue = TaskQueue()
    queue.submit(task("x"))
    queue.take(ONE, 0.0)
    assert queue.replace_worker(ONE) == []
    assert queue.finish(ONE, "x")


def test_silent_worker_loses_its_task_and_its_outcome_does_not_count():
    queue = TaskQueue(lease_s=10)
    queue.submit(task("x"))
    queue.take(ONE, 0.0)
    assert queue.renew(ONE, "x", 9.0)
    assert queue.expire(18.0) == []
    (loss,) = queue.expire(20.0)
    assert "missed its heartbeat for 10 s" in loss.reason
    assert queue.take(TWO, 20.0)[0].id == "x"
    assert not queue.renew(ONE, "x", 21.0)
    assert not queue.finish(ONE, "x")
    assert queue.finish(TWO, "x")
    assert queue.idle


def test_pack_that_loses_its_workers_is_halved_until_the_culprit_is_alone():
    queue = TaskQueue(attempts=1)
    queue.submit(task("pack", "a", "b", "bad", "d"))
    ended, given_up = [], []
    while not queue.idle:
        taken, _ = queue.take(ONE, 0.0)
        if "bad" in taken.keys:
            (loss,) = queue.replace_worker(ONE_AGAIN)
            if loss.decision is LossDecision.GIVE_UP:
                given_up += taken.keys
        else:
            assert queue.finish(ONE, taken.id)
            ended += taken.keys
    assert sorted(ended) == ["a", "b", "d"]
    assert given_up == ["bad"]


def test_preemption_of_a_worker_is_not_held_against_its_task():
    queue = TaskQueue(attempts=1)
    queue.submit(task("pack", "a", "b"))
    for life in "abcd":
        worker = WorkerId("worker 0", life)
        assert queue.take(worker, 0.0)[0].keys == ("a", "b")
        (loss,) = queue.lose_worker("worker 0", "it was preempted", "preemption")
        assert (loss.decision, loss.losses) == (LossDecision.RUN_AGAIN, 0)
    queue.take(ONE, 0.0)
    (loss,) = queue.lose_worker("worker 0", "it died")
    assert loss.decision is LossDecision.HALVE


@pytest.mark.parametrize("fate", ["lost with its machine", "silent"])
def test_lost_machine_is_held_against_a_task_only_when_it_happens_again_and_again(fate):
    queue = TaskQueue(lease_s=10, attempts=1, machine_attempts=5)
    queue.submit(task("x"))
    decisions, now = [], 0.0
    for life in "abcde":
        assert queue.take(WorkerId("worker 0", life), now) is not None
        now += 11
        (loss,) = queue.expire(now) if fate == "silent" else queue.lose_worker("worker 0", "it went", "machine")
        decisions.append(loss.decision)
    assert decisions == [LossDecision.RUN_AGAIN] * 4 + [LossDecision.GIVE_UP]
    assert loss.losses == 5


def test_lost_machines_are_not_added_to_crashes():
    queue = TaskQueue(attempts=2, machine_attempts=3)
    queue.submit(task("x"))
    for kind in ("machine", "crash", "machine"):
        queue.take(ONE, 0.0)
        (loss,) = queue.lose_worker("worker 0", "it went", kind)
        assert loss.decision is LossDecision.RUN_AGAIN
    assert queue.take(ONE, 0.0)[1] == 4, "the next is the fourth attempt"
    (loss,) = queue.lose_worker("worker 0", "it died")
    assert loss.decision is LossDecision.GIVE_UP


def test_queued_task_can_be_withdrawn():
    queue = TaskQueue()
    queue.submit(task("x"))
    assert queue.withdraw("x")
    assert not queue.withdraw("x")
    assert queue.idle


@given(st.lists(st.sampled_from(["take", "finish", "die", "wait"]), max_size=60), st.integers(1, 4))
def test_every_request_ends_once_whatever_dies(actions, count):
    queue = TaskQueue(lease_s=5, attempts=2)
    for n in range(count):
        queue.submit(task(f"t{n}", f"{n}a", f"{n}b"))
    now, life, held, ended = 0.0, 0, None, []

    def act(action: str) -> None:
        nonlocal now, life, held
        worker = WorkerId("worker 0", str(life))
        if action == "take" and held is None and (taken := queue.take(worker, now)):
            held = taken[0]
        elif action == "finish" and held is not None:
            if queue.finish(worker, held.id):
                ended.extend(held.keys)
            held = None
        elif action in ("die", "wait"):
            if action == "die":
                life, held = life + 1, None
                losses = queue.replace_worker(WorkerId("worker 0", str(life)))
            else:
                now += 6
                losses = queue.expire(now)
            for loss in losses:
                if loss.decision is LossDecision.GIVE_UP:
                    ended.extend(loss.task.keys)

    for action in actions:
        act(action)
    for _ in range(200):
        act("take")
        act("finish")
    assert sorted(ended) == sorted(f"{n}{half}" for n in range(count) for half in "ab")
