"""The broker, as a plain object in an event loop: Ray adds nothing to what it does."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest
from test_execution_ray_task_queue import ONE, ONE_AGAIN, TWO, task

from scmmlab.config import CorpusSelection, TransferSpec
from scmmlab.execution.events import (
    CheckpointSaved,
    EpochEnded,
    SlotsUsed,
    TaskEnded,
    TaskLost,
    TaskStarted,
    WorkerLost,
)
from scmmlab.execution.ray.broker import Broker
from scmmlab.execution.ray.messages import WorkerCount, WorkerInfo
from scmmlab.execution.ray.reporter import gathering_s
from scmmlab.execution.ray.task_queue import WorkerId
from scmmlab.execution.task import Task
from scmmlab.methods.scmm.spec import ScmmSpec
from scmmlab.training import StageFailure, StageOutput, SweepRequest


def run(scenario: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(scenario, 20))


def output(key: str) -> StageOutput:
    return StageOutput(key, "pretrain", {}, {})


def epoch(key: str, number: int) -> EpochEnded:
    return EpochEnded(key, "pretrain", number, 5, {"loss": 1.0})


def setting(key: str, **experiment: object) -> Task:
    transfer = TransferSpec(name="t", source=CorpusSelection(table="a"), target=CorpusSelection(table="b"))
    return Task(key, [SweepRequest(key, ScmmSpec.model_validate(experiment), 0, transfer, ("Cz",), 1)])


def test_worker_that_waits_gets_a_task_as_soon_as_there_is_one():
    async def scenario() -> None:
        broker = Broker()
        waiting = asyncio.create_task(broker.take(ONE, 10))
        await asyncio.sleep(0)
        await broker.submit([task("x")])
        assert (await waiting).task.id == "x"

    run(scenario())


def test_worker_waits_for_a_task_of_its_own_places():
    async def scenario() -> None:
        broker = Broker()
        gpu = asyncio.create_task(broker.take(ONE, 10, ("any",)))
        cpu = asyncio.create_task(broker.take(TWO, 10, ("cpu",)))
        await asyncio.sleep(0)
        await broker.submit([task("svm", runs_on="cpu")])
        assert (await cpu).task.id == "svm"
        assert not gpu.done()
        await broker.submit([task("scmm")])
        assert (await gpu).task.id == "scmm"

    run(scenario())


def test_worker_that_is_retired_while_it_waits_stops_at_once():
    async def scenario() -> None:
        broker = Broker()
        await broker.register_worker(ONE, WorkerInfo())
        waiting = asyncio.create_task(broker.take(ONE, 10))
        await asyncio.sleep(0)
        await broker.retire([ONE.name], "there are no more tasks of its kind")
        assert (await asyncio.wait_for(waiting, 0.5)).stop
        assert (await broker.count_workers()).workers == 0
        assert await broker.events(0) == [], "no worker is lost"

    run(scenario())


def test_driver_hears_what_happened_in_order():
    async def scenario() -> None:
        broker = Broker()
        await broker.submit([task("x")])
        await broker.take(ONE, 0)
        await broker.report(ONE, ["x"], [epoch("x", 1), epoch("x", 2)], [CheckpointSaved("x", "pretrain", b"c")])
        await broker.finish(ONE, "x", [output("x")])
        events = await broker.events(0)
        assert [type(event) for event in events] == [TaskStarted, CheckpointSaved, EpochEnded, EpochEnded, TaskEnded]
        assert await broker.events(0) == []

    run(scenario())


def test_task_of_a_dead_worker_goes_on_from_its_checkpoint():
    async def scenario() -> None:
        broker = Broker()
        await broker.submit([Task("x", task("x").requests, {("x", "pretrain"): b"old"})])
        await broker.take(ONE, 0)
        assert await broker.load_checkpoint("x", "pretrain") == b"old"
        await broker.report(ONE, ["x"], [], [CheckpointSaved("x", "pretrain", b"new")])
        assert (await broker.take(ONE_AGAIN, 0)).task.id == "x"
        assert await broker.load_checkpoint("x", "pretrain") == b"new"
        orders = await broker.report(ONE, ["x"], [], [])
        assert orders.abandon
        await broker.finish(ONE_AGAIN, "x", [output("x")])
        assert await broker.load_checkpoint("x", "pretrain") is None

    run(scenario())


def test_request_that_kills_its_workers_ends_as_a_failure():
    async def scenario() -> None:
        broker = Broker()
        await broker.submit([task("x")])
        await broker.take(ONE, 0)
        await broker.take(ONE_AGAIN, 0)
        assert (await broker.take(ONE, 0)).task is None
        events = await broker.events(0)
        assert [event.again for event in events if isinstance(event, TaskLost)] == [True, False]
        (failure,) = events[-1].outcomes
        assert isinstance(failure, StageFailure)
        assert "lost 2 times" in failure.error

    run(scenario())


def test_outcome_of_a_worker_that_was_given_up_is_dropped():
    async def scenario() -> None:
        broker = Broker(lease_s=0.02)
        await broker.submit([task("x")])
        await broker.take(ONE, 0)
        assert (await broker.take(TWO, 10)).task.id == "x"
        await broker.finish(ONE, "x", [output("x")])
        assert not any(isinstance(event, TaskEnded) for event in await broker.events(0))

    run(scenario())


def test_workers_are_sent_home_and_away_from_their_work():
    async def scenario() -> None:
        broker = Broker()
        await broker.submit([task("x")])
        await broker.take(ONE, 0)
        waiting = asyncio.create_task(broker.take(TWO, 10))
        await asyncio.sleep(0)
        await broker.stop(abort=True)
        assert (await waiting).stop
        assert (await broker.report(ONE, ["x"], [], [])).abandon

    run(scenario())


def test_follower_gets_the_epochs_and_the_end_of_a_training_of_its_own():
    async def scenario() -> None:
        broker = Broker()
        assert await broker.follow("trial 7", 0) is None
        follower = asyncio.create_task(broker.follow("trial 7", 10))
        await asyncio.sleep(0)
        await broker.submit([task("x"), task("y")], followed=True)
        assert await follower == "x"
        assert await broker.follow("trial 7", 0) == "x", "its process was restarted"
        assert await broker.follow("trial 8", 0) == "y"
        assert (await broker.take(ONE, 0)).task.id == "x"
        waiting = asyncio.create_task(broker.update("x", 0, 10))
        await asyncio.sleep(0)
        await broker.report(ONE, ["x"], [epoch("x", 1)], [])
        assert [probe.epoch for probe in (await waiting).epochs] == [1]
        await broker.finish(ONE, "x", [output("x")])
        update = await broker.update("x", 1, 10)
        assert (update.epochs, update.ended, update.outcome) == ((), True, output("x"))
        await broker.unfollow("x")
        assert await broker.cancel("y"), "it had not begun"
        assert (await broker.update("y", 0, 10)).ended

    run(scenario())


def test_training_that_is_cancelled_is_stopped_where_it_runs_or_not_begun():
    async def scenario() -> None:
        broker = Broker()
        await broker.submit([task("x"), task("y")])
        await broker.take(ONE, 0)
        assert not await broker.cancel("x")
        assert await broker.cancel("y")
        assert (await broker.report(ONE, ["x"], [epoch("x", 1)], [])).cancelled == {"x"}
        assert (await broker.take(TWO, 0)).task is None
        await broker.finish(ONE, "x", [output("x")])
        assert (await broker.report(ONE, ["y"], [], [])).abandon

    run(scenario())


def test_free_slots_are_filled_with_settings_that_fit_and_with_no_others():
    async def scenario() -> None:
        broker = Broker()
        wide = setting("wide", network={"width": 64})
        settings = [setting("a"), wide, setting("b", masking={"ratio": 0.3}), setting("c"), setting("d")]
        await broker.submit([*settings, task("grid")])
        first = (await broker.take(ONE, 0)).task
        assert first.id == "a"
        more = await broker.take_more(ONE, first.signature, 2)
        assert [found.id for found in more] == ["b", "c"]
        assert (await broker.take(TWO, 0)).task.id == "wide"
        assert [found.id for found in await broker.take_more(TWO, wide.signature, 5)] == []
        assert [found.id for found in await broker.take_more(ONE, first.signature, 5)] == ["d"]
        assert await broker.take_more(ONE, first.signature, 5) == []
        started = [event.task_id for event in await broker.events(0)]
        assert started == ["a", "b", "c", "wide", "d"]

    run(scenario())


def test_worker_of_several_tasks_keeps_those_that_are_its_own():
    async def scenario() -> None:
        broker = Broker(lease_s=0.5)
        await broker.submit([setting("a"), setting("b")])
        first = (await broker.take(ONE, 0)).task
        await broker.take_more(ONE, first.signature, 1)
        assert (await broker.report(ONE, ["a", "b"], [], [])).lost == frozenset()
        # only one of them is heard of until the other's lease has run out
        while (other := (await broker.take(TWO, 0.01)).task) is None:
            assert not (await broker.report(ONE, ["b"], [], [])).abandon
        assert other.id == "a"
        orders = await broker.report(ONE, ["a", "b"], [], [])
        assert (orders.abandon, orders.lost) == (False, {"a"})

    run(scenario())


HERE = WorkerInfo(nodes=("here",), log="worker.err on 10.0.0.1", kernel_kills=(0,))


def test_death_that_train_tells_of_frees_the_task_at_once_for_another():
    async def scenario() -> None:
        broker = Broker(lease_s=1000)
        await broker.submit([task("x")])
        await broker.register_worker(ONE, HERE)
        await broker.take(ONE, 0)
        await broker.worker_died("worker 0", "crash", "its process died unexpectedly")
        assert (await broker.take(TWO, 0)).task.id == "x"
        lost = [event for event in await broker.events(0) if isinstance(event, WorkerLost)]
        assert lost == [WorkerLost("worker 0", "crash", "its process died unexpectedly")]

    run(scenario())


def test_request_whose_workers_are_killed_for_want_of_memory_says_so():
    async def scenario() -> None:
        broker = Broker()
        await broker.submit([task("x")])
        for worker in (ONE, ONE_AGAIN):
            await broker.register_worker(worker, HERE)
            await broker.take(worker, 0)
            await broker.worker_died("worker 0", "out_of_memory", "Ray's memory monitor killed it")
        (failure,) = (await broker.events(0))[-2].outcomes
        assert (failure.cause, failure.log) == ("out_of_memory", HERE.log)
        assert failure.error.endswith("worker 0: Ray's memory monitor killed it)")

    run(scenario())


def test_worker_that_is_told_to_go_hears_it_and_is_counted_once():
    async def scenario() -> None:
        broker = Broker()
        await broker.submit([task("x")])
        await broker.register_worker(ONE, HERE)
        await broker.take(ONE, 0)
        assert not (await broker.report(ONE, ["x"], [], [])).preempted
        await broker.preempt("worker 0")
        assert (await broker.report(ONE, ["x"], [], [CheckpointSaved("x", "pretrain", b"now")])).preempted
        await broker.release(ONE)
        await broker.worker_died("worker 0", "crash", "WorkerPreempted: worker 0 received a preemption notice")
        assert (await broker.take(ONE_AGAIN, 0)).task.id == "x"
        assert await broker.load_checkpoint("x", "pretrain") == b"now"
        events = await broker.events(0)
        assert [event.kind for event in events if isinstance(event, WorkerLost)] == ["preemption"]
        assert [event.again for event in events if isinstance(event, TaskLost)] == [True]

    run(scenario())


def test_worker_that_dies_before_it_could_save_was_preempted_all_the_same():
    async def scenario() -> None:
        broker = Broker()
        await broker.register_worker(ONE, HERE)
        await broker.preempt("worker 0")
        await broker.worker_died("worker 0", "crash", "its process died unexpectedly")
        assert await broker.events(0) == [WorkerLost("worker 0", "preemption", "its process died unexpectedly")]

    run(scenario())


def test_workers_of_a_machine_that_is_taken_away_leave_and_others_stay():
    async def scenario() -> None:
        broker = Broker()
        await broker.register_worker(ONE, HERE)
        await broker.register_worker(TWO, WorkerInfo(nodes=("elsewhere",)))
        waiting = asyncio.create_task(broker.take(ONE, 10))
        await asyncio.sleep(0)
        await broker.update_nodes({}, frozenset({"here"}))
        assert (await waiting).preempted
        assert not (await broker.take(TWO, 0)).preempted

    run(scenario())


def lost_by(events: list[object]) -> list[tuple[str, str]]:
    return [(event.worker, event.kind) for event in events if isinstance(event, WorkerLost)]


@pytest.mark.parametrize("order", ["the table is first", "the errors are first", "one error is first"])
def test_machine_with_many_workers_is_one_loss_in_whichever_order_it_is_heard_of(order):
    async def scenario() -> None:
        broker = Broker(lease_s=1000)
        workers = [WorkerId(f"worker {number}", "1") for number in range(6)]
        await broker.submit([task(f"x{number}") for number in range(6)])
        for worker in workers:
            await broker.register_worker(worker, HERE)
            await broker.take(worker, 0)
        errors = {"the table is first": 0, "the errors are first": 6, "one error is first": 1}[order]
        for worker in workers[:errors]:
            await broker.worker_died(worker.name, "crash", "its process died unexpectedly", False)
            assert (await broker.take(TWO, 0)).task is not None, "others have its task at once"
        assert lost_by(await broker.events(0)) == [], "which of the two it was is not known yet"
        await broker.update_nodes({"here": "10.0.0.7", "elsewhere": "10.0.0.8"}, frozenset())
        for worker in workers:
            await broker.worker_died(worker.name, "crash", "its process died unexpectedly", False)
        events = await broker.events(0)
        assert lost_by(events) == [("machine 10.0.0.7", "machine")]
        assert sum(isinstance(event, TaskLost) for event in events) == 6 - errors
        await broker.update_nodes({"here": "10.0.0.7"}, frozenset())
        assert lost_by(await broker.events(0)) == []

    run(scenario())


def test_worker_whose_machine_is_there_after_all_has_crashed():
    async def scenario() -> None:
        broker = Broker(lease_s=0.2, node_death_s=0.1)
        await broker.register_worker(ONE, HERE)
        await broker.worker_died("worker 0", "crash", "its process died unexpectedly", False)
        assert lost_by(await broker.events(0)) == []
        while not (lost := lost_by(await broker.events(0.05))):
            pass
        assert lost == [("worker 0", "crash")]

    run(scenario())


def test_workers_that_are_ended_leave_their_tasks_to_others_and_get_no_more():
    async def scenario() -> None:
        broker = Broker(lease_s=1000)
        await broker.submit([task("x")])
        await broker.register_worker(ONE, HERE)
        await broker.take(ONE, 0)
        await broker.retire(["worker 0"], "its trainer has ended")
        assert (await broker.report(ONE, ["x"], [], [])).abandon
        assert (await broker.take(ONE, 0)).stop
        assert (await broker.count_workers()).workers == 0
        assert (await broker.take(TWO, 0)).task.id == "x"
        await broker.worker_died("worker 0", "crash", "its process died unexpectedly")
        assert lost_by(await broker.events(0)) == []

    run(scenario())


def test_attendance_is_told_by_arrivals_deaths_and_silence():
    async def scenario() -> None:
        broker = Broker(lease_s=0.05)
        assert (await broker.count_workers()).workers == 0
        await broker.register_worker(ONE, HERE)
        await asyncio.sleep(0.1)
        assert (await broker.count_workers()).workers == 1, "it reads its tables"
        await broker.take(ONE, 0)
        assert await broker.count_workers() == WorkerCount(1, 0.0)
        await asyncio.sleep(0.1)
        assert (await broker.count_workers()).workers == 0, "it is silent"
        await broker.take(ONE, 0)
        await broker.worker_died("worker 0", "crash", "")
        gone = await broker.count_workers()
        assert gone.workers == 0
        assert gone.without_s < 0.05
        await broker.stop()
        await broker.register_worker(TWO, HERE)
        assert (await broker.take(TWO, 0)).stop
        assert (await broker.count_workers()).workers == 0, "it was stopped"

    run(scenario())


def test_slot_epochs_are_passed_on():
    async def scenario() -> None:
        broker = Broker()
        await broker.submit([setting("a")])
        await broker.take(ONE, 0)
        await broker.report(ONE, ["a"], [], [], SlotsUsed(3, 4))
        assert SlotsUsed(3, 4) in await broker.events(0)

    run(scenario())


@pytest.mark.parametrize(("workers", "seconds"), [(1, 0.2), (100, 0.2), (101, 0.202), (1000, 2.0), (5000, 10.0)])
def test_many_workers_gather_their_news_for_longer_so_that_the_broker_keeps_up(workers, seconds):
    assert gathering_s(workers) == pytest.approx(seconds)
    assert workers / gathering_s(workers) <= 500.001
