"""Workers that are preempted, crash, run out of memory or never start: what is said of it, counted and gone on with."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path

import failing_tasks
import psutil
import pytest
import ray
import yaml
from comparing import csv, events_of_engine, local_engine, objects, pids_of_workers, ray_engine, run
from failing_tasks import (
    AsksPythonForTooMuch,
    AsksTheAllocatorForTooMuch,
    HasABug,
    IsKilled,
)
from losing_machines import LONG, START_S
from ray_head import clean_environment, wait_for
from struck_study import EPOCHS, At, study_of_two_packs
from tiny_study import ablation, plan_of, sweep

from scmmlab.config import ResourcesSpec
from scmmlab.errors import ResourceError
from scmmlab.execution.events import EpochEnded, TaskEnded, TaskLost, WorkerLost
from scmmlab.execution.grid.run import GridRun
from scmmlab.execution.progress import Progress
from scmmlab.execution.ray.engine import RayEngine
from scmmlab.execution.sweep.run import SweepRun
from scmmlab.execution.task import Task
from scmmlab.study import ResultStore, study_status
from scmmlab.study.worker_losses import WorkerLosses, worker_losses
from scmmlab.tables import read_table
from scmmlab.tracking import Tracker

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("tables")


def tell_one_to_go() -> None:
    os.kill(pids_of_workers()[0], signal.SIGTERM)


@pytest.mark.usefixtures("ray_of_two_cpus")
def test_worker_that_is_told_to_go_hands_its_training_over_where_it_is(folder, tmp_path):
    plan, alone, store = plan_of(study_of_two_packs(folder)), ResultStore(tmp_path / "a"), ResultStore(tmp_path / "b")
    run(plan, alone, local_engine(plan))
    engine, stream, tracker = ray_engine(plan), io.StringIO(), At(10, tell_one_to_go)
    events = events_of_engine(engine)
    progress = Progress(len(plan.cells), {}, stream=stream)
    assert GridRun(plan, store, engine, cache(read_table), tracker, progress).run().complete

    assert tracker.done
    assert csv(plan, store) == csv(plan, alone)
    assert objects(store) == objects(alone)
    assert [event.kind for event in events if isinstance(event, WorkerLost)] == ["preemption"]
    (lost,) = [event for event in events if isinstance(event, TaskLost)]
    epochs = [
        event.epoch for event in events if isinstance(event, EpochEnded) and f"pretrain-{event.key}" == lost.task_id
    ]
    assert epochs == list(range(1, EPOCHS + 1)), "no epoch was trained twice, though no checkpoint was due"
    losses = worker_losses(store.study_folder(plan.study.name))
    assert losses == WorkerLosses(preemption=1, last=losses.last)
    assert losses.last.endswith("was preempted: it received a preemption notice")
    assert "workers: 1 preempted" in stream.getvalue()
    assert "workers: 1 preempted" in study_status(plan, store, ask_drivers=True).text()


def kill_the_controller() -> None:
    (controller,) = pids_of_workers("ray::TrainController")
    os.kill(controller, signal.SIGKILL)


@pytest.mark.usefixtures("ray_of_two_cpus")
def test_workers_of_a_lost_controller_leave_their_cpus_to_those_of_the_next(folder, tmp_path):
    plan, alone, store = plan_of(study_of_two_packs(folder)), ResultStore(tmp_path / "a"), ResultStore(tmp_path / "b")
    run(plan, alone, local_engine(plan))
    tracker = At(10, kill_the_controller)
    assert run(plan, store, ray_engine(plan), tracker).complete  # there are no CPUs but those that it held
    assert tracker.done
    assert csv(plan, store) == csv(plan, alone)


@pytest.mark.usefixtures("ray_of_two_cpus")
def test_preemptions_have_a_budget_of_their_own(folder, tmp_path):
    plan, store = plan_of(study_of_two_packs(folder, max_preemptions=0)), ResultStore(tmp_path)
    with pytest.raises(ResourceError, match=r"taken away 1 times .*, and resources\.max_preemptions allows 0"):
        run(plan, store, ray_engine(plan), At(10, tell_one_to_go))
    assert any(store.load_checkpoint(key, "pretrain") for key in plan.pretraining), "the next run goes on from there"


def outcomes_of(tasks, **resources) -> dict:
    """How auxiliary tasks end on a worker."""
    ray.cloudpickle.register_pickle_by_value(failing_tasks)  # Ray's processes do not find the tests' modules
    engine = RayEngine(ResourcesSpec(workers=1, **resources), tables=[])
    ended: dict = {}

    def on_event(event):
        if isinstance(event, TaskEnded):
            ended.update((outcome.key, outcome) for outcome in event.outcomes)

    with engine:
        for task in tasks:
            engine.submit(Task(task.key, [task]))
        deadline = time.monotonic() + 120
        while len(ended) < len(tasks) and time.monotonic() < deadline:
            engine.step(on_event, 0.5)
    return ended


@pytest.mark.usefixtures("ray_of_two_cpus")
def test_a_failure_says_what_it_was_and_where_its_log_is():
    ended = outcomes_of([HasABug(), AsksTheAllocatorForTooMuch(), AsksPythonForTooMuch(), IsKilled()], max_failures=2)
    causes = {key: outcome.cause for key, outcome in ended.items()}
    assert causes == {"bug": "error", "allocator": "out_of_memory", "python": "out_of_memory", "killed": "lost"}
    assert ended["bug"].error == "KeyError: 'no such key'"
    assert ended["bug"].traceback.splitlines()[-1] == ended["bug"].error
    assert "allocate memory" in ended["allocator"].error
    assert ended["killed"].error == (
        "its worker was lost 2 times (the last time: worker 0: its process died unexpectedly)"
    )
    for outcome in ended.values():
        file, _, machine = outcome.log.partition(" on ")
        assert Path(file).is_file()
        assert machine == ray.util.get_node_ip_address()


@pytest.mark.timeout(1800)
def test_machine_that_is_drained_loses_no_epoch_and_one_that_vanishes_is_gone_on_without_or_named(folder, tmp_path):
    drained, gone, lost, told_in = (tmp_path / name for name in ("drained", "gone", "lost", "told.json"))
    arguments = ", ".join(f"Path({str(path)!r})" for path in (folder, drained, gone, lost, told_in))
    text = f"from pathlib import Path; from losing_machines import main; main({arguments})"
    ended = program(text, {"RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.2"})
    assert ended.returncode == 0, ended.stderr
    told = json.loads(told_in.read_text())
    assert told["complete"]
    assert told["losses"] == ["preemption"]
    assert told["epochs"] == [list(range(1, LONG + 1))], "no epoch was trained twice, though no checkpoint was due"
    plan, alone = plan_of(study_of_two_packs(folder, LONG)), ResultStore(tmp_path / "alone")
    store = ResultStore(drained)
    run(plan, alone, local_engine(plan))
    assert csv(plan, store) == csv(plan, alone)
    assert objects(store) == objects(alone)

    plan = plan_of(study_of_two_packs(folder, LONG, seeds=[0, 1]))
    run(plan, alone, local_engine(plan))  # half of it is there
    assert told["gone"]["complete"], "no worker may fail, and the machine had two"
    assert told["gone"]["losses"] == ["machine"]
    assert told["gone"]["elsewhere"] == [], "what a run cannot lose is on the driver's machine"
    assert any(
        re.fullmatch(r"Machine \S+ was lost: \d of 3 workers left; .*", said) for said in told["gone"]["changes"]
    ), told["gone"]["changes"]
    assert any(re.fullmatch(r"Resources became free: .*", said) for said in told["gone"]["changes"])
    assert csv(plan, ResultStore(gone)) == csv(plan, alone)
    assert objects(ResultStore(gone)) == objects(alone)

    shortage = f"no worker for {START_S} s (resources.start_timeout_s): 2 workers with 1 CPU each need 2 CPU, 1 there."
    assert shortage in told["error"]


MEMORY = """
from failing_tasks import FillsTheMachine
from test_integration_losses import outcomes_of
outcomes_of([FillsTheMachine()], max_failures=0)
"""


def test_worker_that_rays_memory_monitor_kills_is_out_of_memory():
    memory = psutil.virtual_memory()
    # what others take meanwhile must not reach it
    room = min(5 * 2**30, memory.available // 2)
    threshold = (memory.total - memory.available + room) / memory.total
    limits = {"RAY_memory_usage_threshold": f"{threshold:.4f}", "RAY_memory_monitor_refresh_ms": "50"}
    ended = program(MEMORY, limits).stderr
    assert "TryAgainError: Workers failed 1 times, and resources.max_failures allows 0" in ended
    assert "worker 0 was lost: Ray's memory monitor killed it" in ended
    assert "lower resources.pack_size" in ended


def test_run_whose_head_is_lost_ends_in_a_sentence_and_is_to_be_tried_again(folder, tmp_path):
    file, log = tmp_path / "study.yaml", tmp_path / "log"
    file.write_text(yaml.safe_dump(study_of_two_packs(folder, epochs=1_000_000).model_dump(mode="json")))
    command = [sys.executable, "-m", "scmmlab.cli.main", "run", str(file), "--tracking-uri", "none"]
    with log.open("w") as stream:
        run = subprocess.Popen([*command, "--store", str(tmp_path / "runs")], stderr=stream, env=clean_environment())
    wait_for(lambda: run.poll() is not None or re.search(r"[1-9] running", log.read_text()))
    (head,) = [one for one in psutil.Process(run.pid).children(recursive=True) if one.name() == "gcs_server"]
    head.kill()
    assert run.wait(180) == os.EX_TEMPFAIL, log.read_text()
    assert re.search(r"^scmmlab: Ray's head at \S+ is lost: ", log.read_text(), re.MULTILINE)
    assert "the same command resumes" in log.read_text()
    assert "Traceback" not in log.read_text()


def program(text: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """A program with a Ray of its own, ended."""
    return subprocess.run(
        [sys.executable, "-c", text],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))} | environment,
        capture_output=True,
        text=True,
    )


@contextmanager
def cpus_held(number: int) -> Iterator[None]:
    """Somebody else has CPUs."""

    @ray.remote(num_cpus=1)
    class Holder:
        def there(self):
            return True

    holders = [Holder.remote() for _ in range(number)]
    assert all(ray.get([holder.there.remote() for holder in holders]))
    yield
    for holder in holders:
        ray.kill(holder)


@pytest.fixture
def one_cpu_held(ray_of_two_cpus):
    with cpus_held(1):
        yield


@pytest.mark.usefixtures("one_cpu_held")
@pytest.mark.parametrize("kind", ["grid", "data-parallel", "sweep"])
def test_study_whose_resources_others_hold_gives_up_in_the_stated_time(folder, tmp_path, kind):
    limits = {"start_timeout_s": 2.0, **({"workers_per_cell": 2} if kind == "data-parallel" else {"workers": 2})}
    plan = plan_of((sweep if kind == "sweep" else ablation)(folder, resources=limits))
    engine, store, stream = ray_engine(plan), ResultStore(tmp_path), io.StringIO()
    progress = Progress(len(plan.cells), {}, stream=stream)
    if kind == "sweep":
        study_run = SweepRun(plan, store, engine, Tracker(), progress)
    else:
        study_run = GridRun(plan, store, engine, cache(read_table), Tracker(), progress)
    expected = "no worker for 2 s (resources.start_timeout_s): 2 workers with 1 CPU each need 2 CPU, 1 of 2 free"
    with pytest.raises(ResourceError, match=re.escape(expected)):
        study_run.run()
    assert re.search(r"waiting for workers: 2 workers .* 1 of 2 free; giving up in \d s", stream.getvalue())


class Listening(io.StringIO):
    """Standard error that does something when a text has been written to it, once."""

    def __init__(self, text: str, act: Callable[[], object]):
        super().__init__()
        self._text, self._act = text, act
        self.heard_at = float("inf")

    def write(self, text: str) -> int:
        if self._text in text and self.heard_at == float("inf"):
            self.heard_at = time.monotonic()
            self._act()
        return super().write(text)


@pytest.mark.usefixtures("ray_of_two_cpus")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_run_for_which_no_cpu_is_free_says_so_at_once_and_hears_signals(folder, tmp_path, number):
    plan = plan_of(ablation(folder, resources={"start_timeout_s": 600}))
    begun = time.monotonic()
    stream = Listening("waiting for workers: 1 worker with 1 CPU", lambda: os.kill(os.getpid(), number))
    progress = Progress(len(plan.cells), {}, stream=stream)
    with cpus_held(2), pytest.raises(KeyboardInterrupt):
        GridRun(plan, ResultStore(tmp_path), ray_engine(plan), cache(read_table), Tracker(), progress).run()
    assert re.search(r"need 1 CPU, 0 of 2 free; giving up in (600|59\d) s", stream.getvalue())
    assert stream.heard_at - begun < 30, "from the first moment"
    assert time.monotonic() - stream.heard_at < 30, "within seconds"


@pytest.mark.usefixtures("ray_of_two_cpus")
def test_run_begins_with_what_there_is_and_takes_up_what_becomes_free(folder, tmp_path):
    plan, alone = plan_of(study_of_two_packs(folder, seeds=[0, 1])), ResultStore(tmp_path / "alone")
    run(plan, alone, local_engine(plan))
    held = ExitStack()
    held.enter_context(cpus_held(1))
    stream, tracker, store = io.StringIO(), At(2, held.close), ResultStore(tmp_path / "store")
    progress = Progress(len(plan.cells), {}, stream=stream)
    assert GridRun(plan, store, ray_engine(plan), cache(read_table), tracker, progress).run().complete
    assert (
        "Starting with the resources that are free: 1 of 2 workers; more are added as resources become free."
        in stream.getvalue()
    )
    assert "Resources became free: 1 worker added, 2 of 2 in all" in stream.getvalue()
    assert objects(store) == objects(alone)
