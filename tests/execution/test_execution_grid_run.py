"""A run of an ablation, on the engine that needs no Ray."""

from __future__ import annotations

import io
import os
import re
import signal
from collections import Counter
from functools import cache
from itertools import count
from pathlib import Path

import pytest
import torch
from tiny_study import ablation, ablation_with_a_failure, plan_of

from scmmlab.config import AblationSpec, ResourcesSpec
from scmmlab.execution.engine import Engine
from scmmlab.execution.engines import run_study
from scmmlab.execution.events import TaskEnded, TaskLost, TaskStarted
from scmmlab.execution.grid.pack_sizes import PackSizes
from scmmlab.execution.grid.run import GridRun
from scmmlab.execution.grid.stages import GridStages
from scmmlab.execution.local_engine import LocalEngine
from scmmlab.execution.progress import Progress
from scmmlab.execution.task import AuxiliaryTask, Task
from scmmlab.study import Plan, ResultStore, result_rows, rows_csv, study_status
from scmmlab.tables import read_table
from scmmlab.tracking import MemoryTracker, Tracker
from scmmlab.training import StageOutput
from scmmlab.training.packs import finetune_pack_size


class CountingEngine(LocalEngine):
    """The local engine, which remembers the keys of what it ran."""

    def __init__(self) -> None:
        super().__init__(ResourcesSpec(checkpoint_every=1), cache(read_table), checkpoint_s=0.0)
        self.ran: list[str] = []
        self.entered = False

    def open(self) -> None:
        super().open()
        self.entered = True

    def step(self, emit, timeout_s):
        def listen(event):
            if isinstance(event, TaskEnded):
                self.ran += [outcome.key for outcome in event.outcomes if outcome.kind != "auxiliary"]
            emit(event)

        super().step(listen, timeout_s)


class ForbiddenEngine(Engine):
    """An engine for runs that have nothing to run."""

    def open(self):
        raise AssertionError("there is nothing to run")

    close = submit = cancel = step = open


def run(plan: Plan, store: ResultStore, engine: Engine, tracker: Tracker | None = None):
    return GridRun(plan, store, engine, cache(read_table), tracker or Tracker()).run()


def table(plan: Plan, store: ResultStore) -> str:
    return rows_csv(result_rows(plan.study.name, plan.cells, store.get_cell))


def small(folder) -> AblationSpec:
    variants = {"full": {}, "frozen_encoder": {"set": {"finetune.freeze_encoder": True}}}
    return ablation(folder, variants=variants, seeds=[0])


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> tuple[Plan, ResultStore, MemoryTracker, CountingEngine]:
    folder = tmp_path_factory.mktemp("grid")
    plan, store = plan_of(small(folder)), ResultStore(folder / "store")
    tracker, engine = MemoryTracker(), CountingEngine()
    summary = run(plan, store, engine, tracker)
    assert summary.complete
    assert (summary.total, summary.ran) == (2, 2)
    return plan, store, tracker, engine


def test_shared_stage_is_run_once(finished):
    plan, _, _, engine = finished
    assert sorted(engine.ran) == sorted([*plan.pretraining, *plan.distinct])


def test_store_and_tracker_have_every_cell_and_no_checkpoint_is_left(finished):
    plan, store, tracker, _ = finished
    assert study_status(plan, store).complete
    assert set(tracker.records) == {(cell.variant, cell.transfer.name, cell.seed) for cell in plan.cells}
    assert {stage for _, stage in tracker.epochs} == {"pretrain", "finetune"}
    assert store._files.names("checkpoints") == []


def test_running_again_runs_nothing_and_tells_the_tracker_again(finished):
    plan, store, _, _ = finished
    tracker = MemoryTracker()
    summary = run(plan, store, ForbiddenEngine(), tracker)
    assert (summary.finished, summary.ran) == (2, 0)
    assert set(tracker.records) == {(cell.variant, cell.transfer.name, cell.seed) for cell in plan.cells}


def test_study_that_is_extended_runs_what_is_new(finished):
    plan, store, _, _ = finished
    folder = Path(plan.study.transfers[0].source.table).parent
    variants = dict(plan.study.variants) | {"no_pretraining": {"set": {"pretrain.enabled": False}}}
    extended = plan_of(ablation(folder, variants=variants, seeds=[0]))
    engine = CountingEngine()
    assert run(extended, store, engine).ran == 1
    assert len(engine.ran) == 1


def test_failed_stage_fails_its_cells_and_the_others_go_on(tmp_path):
    plan, store = plan_of(ablation_with_a_failure(tmp_path)), ResultStore(tmp_path / "store")
    tracker = MemoryTracker()
    summary = run(plan, store, CountingEngine(), tracker)
    assert (summary.finished, summary.complete) == (2, False)
    assert [failure.split(" · ")[0] for failure in summary.failures] == ["unscaled", "unscaled_frozen"]
    assert all("(pretrain)" in failure and "loss" in failure for failure in summary.failures)
    assert len(tracker.errors) == 2
    failures = [status.failure for status in study_status(plan, store).cells if status.failure]
    assert all(failure.traceback or failure.error for failure in failures)

    again = CountingEngine()
    assert not run(plan, store, again).complete
    assert len(again.ran) == 1, "only what has failed is tried again"
    assert {status.failure.attempts for status in study_status(plan, store).cells if status.failure} == {2}


class InterruptingTracker(Tracker):
    """Sends this process a signal after some epochs."""

    def __init__(self, number: int, epochs: int):
        self._number, self._left = number, epochs

    def epoch(self, key, stage, epoch, metrics):
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), self._number)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("epochs", [2, 6])
def test_interrupted_run_goes_on_to_the_same_table(finished, tmp_path, number, epochs):
    plan, whole, *_ = finished
    store = ResultStore(tmp_path)
    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt):
        run(plan, store, CountingEngine(), InterruptingTracker(number, epochs))
    assert signal.getsignal(number) is before
    assert store._files.names("checkpoints"), "the training that was left has a checkpoint"
    assert run(plan, store, CountingEngine()).complete
    assert table(plan, store) == table(plan, whole)


def test_cell_that_was_fine_tuned_but_not_judged_is_judged_without_training(finished):
    plan, store, _, _ = finished
    (key, *_) = plan.distinct
    record = store.get_cell(key)
    store._files.delete(f"cells/{key}.json")
    assert run(plan, store, ForbiddenEngine()).ran == 1
    assert store.get_cell(key) == record


def test_damaged_encoder_is_trained_again_for_the_cell_that_needs_it(finished):
    plan, store, _, _ = finished
    before = table(plan, store)
    ((pretrain_key, (cell, *_)),) = plan.pretraining.items()
    for name in (f"cells/{cell.key}.json", f"finetune/{cell.key}.safetensors"):
        store._files.delete(name)
    store._files.write(f"pretrain/{pretrain_key}.safetensors", b"not what it was")
    engine = CountingEngine()
    assert run(plan, store, engine).complete
    assert sorted(engine.ran) == sorted([pretrain_key, cell.key])
    assert table(plan, store) == before


def test_variants_that_differ_in_what_does_not_matter_are_run_once_and_shown_twice(finished):
    plan, store, _, _ = finished
    folder = Path(plan.study.transfers[0].source.table).parent
    variants = dict(plan.study.variants) | {"same": {"set": {"loss.contrast_weight": 3.0}}}
    twins = plan_of(ablation(folder, variants=variants, seeds=[0]))
    tracker = MemoryTracker()
    summary = run(twins, store, ForbiddenEngine(), tracker)
    assert (summary.total, summary.finished, summary.ran) == (3, 3, 0)
    assert ("same", "source-to-target", 0) in tracker.records


def test_pack_size_changes_no_result(finished, tmp_path):
    plan, whole, _, _ = finished
    study = plan.study.model_copy(update={"resources": ResourcesSpec(pack_size=1)})
    alone, store = plan_of(study), ResultStore(tmp_path)
    run_study(alone, store, "local")
    assert table(alone, store) == table(plan, whole)


class SeparatingEngine(CountingEngine):
    """The local engine as one that has two GPU workers, and a CPU worker for tasks that run on the CPU alone."""

    def __init__(self) -> None:
        super().__init__()
        self.submitted: list[Task] = []
        self.most = Counter[str]()
        self.over: list[tuple[str, set[str]]] = []

    def open(self):
        super().open()
        self.separate = True

    def workers_for(self, runs_on):
        return {"any": 2, "cpu": 1}[runs_on]

    def submit(self, task):
        self.submitted.append(task)
        super().submit(task)
        queued = Counter(queued.runs_on for queued in self._queue)
        self.most |= queued

    def ended(self, runs_on):
        if (runs_on, set(self.ran)) not in self.over:
            self.over.append((runs_on, set(self.ran)))


def test_gpu_workers_and_cpu_workers_get_their_stages_at_the_same_time(finished, tmp_path):
    first, *_ = finished
    folder = Path(first.study.transfers[0].source.table).parent
    variants = {
        "linear": {"set": {"method": "linear"}},
        "full": {},
        "frozen_encoder": {"set": {"finetune.freeze_encoder": True}},
    }
    study = ablation(folder, variants=variants, seeds=[0, 1, 2], resources={"pack_size": 1})
    plan, alone, store = plan_of(study), ResultStore(tmp_path / "alone"), ResultStore(tmp_path / "separate")
    assert run(plan, alone, CountingEngine()).complete
    engine, stream = SeparatingEngine(), io.StringIO()
    progress = Progress(len(plan.cells), {}, stream=stream, clock=count(0, 100).__next__)
    assert GridRun(plan, store, engine, cache(read_table), Tracker(), progress).run().complete

    assert table(plan, store) == table(plan, alone)
    of_cpu = {cell.key for cell in plan.cells if cell.variant == "linear"}
    assert {key for task in engine.submitted if task.runs_on == "cpu" for key in task.keys} == of_cpu
    assert engine.most == {"any": 4, "cpu": 2}, "a task at work and one queued of each worker"
    assert engine.useful_by_place == {"any": 6, "cpu": 3}
    assert {task.runs_on for task in engine.submitted[:5]} == {"any", "cpu"}, "neither waits for the other"
    place, ran = engine.over[0]
    assert place == "cpu", "its worker goes when it has nothing left"
    assert ran >= of_cpu
    assert ran < {*plan.distinct, *plan.pretraining}


def test_pack_is_that_of_the_device_which_trains_it(finished):
    first, *_ = finished
    folder = Path(first.study.transfers[0].source.table).parent
    variants = {"linear": {"set": {"method": "linear"}}, "full": {"set": {"pretrain.enabled": False}}}
    plan, engine = plan_of(ablation(folder, variants=variants, seeds=[0])), CountingEngine()
    engine.device = "cuda"
    grid = GridStages(plan, ())
    sizes = PackSizes(grid, ResultStore(folder / "sizes").study_folder("tiny"), plan.study.resources, engine)
    found = {stage.runs_on: sizes.size(stage) for stage in grid.stages()}
    assert found == {"cpu": finetune_pack_size("cpu"), "any": finetune_pack_size("cuda")}


class SaysItsDevice(AuxiliaryTask):
    """A task that says which device it was given."""

    def __init__(self, key: str):
        self.key = key

    def run(self, device):
        return StageOutput(self.key, "auxiliary", {"device": device}, {})


def test_task_of_the_cpu_runs_on_the_cpu_where_there_is_a_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    devices: dict[str, str] = {}

    def on_event(event):
        if isinstance(event, TaskEnded):
            devices.update({outcome.key: outcome.record["device"] for outcome in event.outcomes})

    with LocalEngine(ResourcesSpec(), cache(read_table)) as engine:
        assert not engine.separate, "one process takes all tasks, in order"
        for key, runs_on in (("svm", "cpu"), ("scmm", "any"), ("knn", "cpu")):
            engine.submit(Task(key, [SaysItsDevice(key)], runs_on=runs_on))
        for _ in range(3):
            engine.step(on_event, 0.0)
    assert list(devices.items()) == [("svm", "cpu"), ("scmm", "cuda"), ("knn", "cpu")]


class LosingEngine(LocalEngine):
    """Tells of its first task as Ray's engine does of one whose machine is lost, before it runs it."""

    def __init__(self) -> None:
        super().__init__(ResourcesSpec(pack_size=4), cache(read_table))
        self.lost = False

    def step(self, emit, timeout_s):
        if not self.lost:
            self.lost = True
            task = self._queue[0]
            emit(TaskStarted(task.id, task.keys, "worker 0", attempt=1))
            emit(TaskLost(task.id, "worker 0", "worker 0: its machine was lost", again=True, keys=task.keys))
        super().step(emit, timeout_s)


def test_cells_that_nobody_works_at_are_not_shown_as_running(tmp_path):
    plan, stream = plan_of(ablation(tmp_path / "tables", seeds=[0], resources={"pack_size": 4})), io.StringIO()
    progress = Progress(len(plan.cells), {}, stream=stream, clock=count(0, 100).__next__)
    engine = LosingEngine()
    assert GridRun(plan, ResultStore(tmp_path / "runs"), engine, cache(read_table), Tracker(), progress).run().complete
    before, _, after = stream.getvalue().partition("its task is retried\n")
    running = [[int(found) for found in re.findall(r"(\d+) running", part)] for part in (before, after)]
    assert max(running[0]) > 0, "a worker was at it"
    assert running[1][0] == 0, "and then nobody"
    assert max(running[1]) > 0
