"""Who works at what, and what becomes of the tasks of lost workers."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scmmlab.execution.ray.task_queue import LeaseBook, LossDecision, WorkerId
from scmmlab.execution.task import Task


@dataclass(frozen=True)
class FakeRequest:
    key: str


def task(name: str, *keys: str) -> Task:
    return Task(name, [FakeRequest(key) for key in keys or (name,)])


ONE, TWO = WorkerId("worker 0", "a"), WorkerId("worker 1", "b")
ONE_AGAIN = WorkerId("worker 0", "c")


def test_tasks_are_taken_in_order_and_once():
    book = LeaseBook()
    book.submit(task("x"))
    book.submit(task("y"))
    assert book.take(ONE, 0.0)[0].id == "x"
    assert book.take(TWO, 0.0)[0].id == "y"
    assert book.take(TWO, 0.0) is None


def test_successor_of_a_worker_gets_its_task_at_once():
    book = LeaseBook(lease_s=60)
    book.submit(task("x"))
    book.take(ONE, 0.0)
    (loss,) = book.succeed(ONE_AGAIN)
    assert loss.decision is LossDecision.RUN_AGAIN
    taken, attempt = book.take(ONE_AGAIN, 1.0)
    assert (taken.id, attempt) == ("x", 2)


def test_worker_that_asks_again_keeps_its_task():
    book = LeaseBook()
    book.submit(task("x"))
    book.take(ONE, 0.0)
    assert book.succeed(ONE) == []
    assert book.finish(ONE, "x")


def test_silent_worker_loses_its_task_and_its_outcome_does_not_count():
    book = LeaseBook(lease_s=10)
    book.submit(task("x"))
    book.take(ONE, 0.0)
    assert book.renew(ONE, "x", 9.0)
    assert book.expire(18.0) == []
    (loss,) = book.expire(20.0)
    assert "silent for 10 s" in loss.reason
    assert book.take(TWO, 20.0)[0].id == "x"
    assert not book.renew(ONE, "x", 21.0)
    assert not book.finish(ONE, "x")
    assert book.finish(TWO, "x")
    assert book.idle


def test_pack_that_loses_its_workers_is_halved_until_the_culprit_is_alone():
    book = LeaseBook(attempts=1)
    book.submit(task("pack", "a", "b", "bad", "d"))
    ended, given_up = [], []
    while not book.idle:
        taken, _ = book.take(ONE, 0.0)
        if "bad" in taken.keys:
            (loss,) = book.succeed(ONE_AGAIN)
            if loss.decision is LossDecision.GIVE_UP:
                given_up += taken.keys
        else:
            assert book.finish(ONE, taken.id)
            ended += taken.keys
    assert sorted(ended) == ["a", "b", "d"]
    assert given_up == ["bad"]


def test_preemption_of_a_worker_is_not_held_against_its_task():
    book = LeaseBook(attempts=1)
    book.submit(task("pack", "a", "b"))
    for life in "abcd":
        worker = WorkerId("worker 0", life)
        assert book.take(worker, 0.0)[0].keys == ("a", "b")
        (loss,) = book.lose("worker 0", "it was told to go", "preemption")
        assert (loss.decision, loss.losses) == (LossDecision.RUN_AGAIN, 0)
    book.take(ONE, 0.0)
    (loss,) = book.lose("worker 0", "it died")
    assert loss.decision is LossDecision.HALVE


@pytest.mark.parametrize("fate", ["lost with its machine", "silent"])
def test_lost_machine_is_held_against_a_task_only_when_it_happens_again_and_again(fate):
    book = LeaseBook(lease_s=10, attempts=1, machine_attempts=5)
    book.submit(task("x"))
    decisions, now = [], 0.0
    for life in "abcde":
        assert book.take(WorkerId("worker 0", life), now) is not None
        now += 11
        (loss,) = book.expire(now) if fate == "silent" else book.lose("worker 0", "it went", "machine")
        decisions.append(loss.decision)
    assert decisions == [LossDecision.RUN_AGAIN] * 4 + [LossDecision.GIVE_UP]
    assert loss.losses == 5


def test_lost_machines_are_not_added_to_crashes():
    book = LeaseBook(attempts=2, machine_attempts=3)
    book.submit(task("x"))
    for kind in ("machine", "crash", "machine"):
        book.take(ONE, 0.0)
        (loss,) = book.lose("worker 0", "it went", kind)
        assert loss.decision is LossDecision.RUN_AGAIN
    assert book.take(ONE, 0.0)[1] == 4, "the next is the fourth attempt"
    (loss,) = book.lose("worker 0", "it died")
    assert loss.decision is LossDecision.GIVE_UP


def test_queued_task_can_be_withdrawn():
    book = LeaseBook()
    book.submit(task("x"))
    assert book.withdraw("x")
    assert not book.withdraw("x")
    assert book.idle


@given(st.lists(st.sampled_from(["take", "finish", "die", "wait"]), max_size=60), st.integers(1, 4))
def test_every_request_ends_once_whatever_dies(actions, count):
    book = LeaseBook(lease_s=5, attempts=2)
    for n in range(count):
        book.submit(task(f"t{n}", f"{n}a", f"{n}b"))
    now, life, held, ended = 0.0, 0, None, []

    def act(action: str) -> None:
        nonlocal now, life, held
        worker = WorkerId("worker 0", str(life))
        if action == "take" and held is None and (taken := book.take(worker, now)):
            held = taken[0]
        elif action == "finish" and held is not None:
            if book.finish(worker, held.id):
                ended.extend(held.keys)
            held = None
        elif action in ("die", "wait"):
            if action == "die":
                life, held = life + 1, None
                losses = book.succeed(WorkerId("worker 0", str(life)))
            else:
                now += 6
                losses = book.expire(now)
            for loss in losses:
                if loss.decision is LossDecision.GIVE_UP:
                    ended.extend(loss.task.keys)

    for action in actions:
        act(action)
    for _ in range(200):
        act("take")
        act("finish")
    assert sorted(ended) == sorted(f"{n}{half}" for n in range(count) for half in "ab")
