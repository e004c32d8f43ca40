"""A program with a Ray of two CPUs and a GPU that there is by name alone; who worked where is left as JSON."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import ray
from comparing import events_of_engine, run
from ray.cluster_utils import Cluster
from tiny_study import ablation, plan_of

from scmmlab.config import AblationSpec, ResourcesSpec
from scmmlab.execution.events import EngineEvent, TaskEnded, TaskLost, TaskStarted, TasksWait, WorkerLost
from scmmlab.execution.ray.engine import RayEngine
from scmmlab.execution.ray.private import time_to_register
from scmmlab.execution.ray.resources import WorkerPlan
from scmmlab.execution.task import AuxiliaryTask, Task
from scmmlab.methods.contract import RunsOn
from scmmlab.study import ResultStore
from scmmlab.training import StageOutput

MEMORY = 100 * 2**20
LONGEST_S = 120.0
VARIANTS = {
    "full": {},
    "svm": {"set": {"method": "svm"}},
    "mlp": {"set": {"method": "mlp", "finetune.epochs": 2}},
    "linear": {"set": {"method": "linear"}},
}


def study_of_both(folder: Path) -> AblationSpec:
    """Two methods that run on the CPU alone, and two that do not."""
    return ablation(folder, variants=VARIANTS, seeds=[0, 1], resources={"pack_size": 2})


@ray.remote(num_cpus=1)
class Holder:
    """Holds a CPU."""

    def there(self) -> bool:
        return True


@dataclass(frozen=True)
class SaysWhere(AuxiliaryTask):
    """Says what it was given, when it has seen that others are at work too."""

    key: str
    folder: str
    others: tuple[str, ...] = ()
    """Keys of tasks that must be at work at the same time."""
    dies: bool = False
    """Whether its worker is killed at the first attempt."""

    def run(self, device: str) -> StageOutput:
        here = Path(self.folder)
        again = (here / self.key).exists()
        (here / self.key).touch()
        if self.dies and not again:
            os.kill(os.getpid(), signal.SIGKILL)
        end = time.monotonic() + LONGEST_S
        while not all((here / other).exists() for other in self.others):
            assert time.monotonic() < end, "the others do not come"
            time.sleep(0.05)
        context = ray.get_runtime_context()
        record = {"device": device, "gpus": context.get_accelerator_ids()["GPU"], "node": context.get_node_id()}
        return StageOutput(self.key, "auxiliary", record, {})


@dataclass(frozen=True)
class PretendedPlan(WorkerPlan):
    """Workers that may hold a GPU, and train on the CPU: there is none."""

    device = "cpu"


class PretendingEngine(RayEngine):
    """Places workers as for GPUs, and has them train on the CPU."""

    made: list[tuple[str, dict[str, float], tuple[str, ...]]]
    """What workers are called, what each holds, and their names."""

    def open(self):
        super().open()
        self.made = []
        self._plans = tuple(PretendedPlan(**vars(plan)) for plan in self._plans)
        self.device = "cpu"

    def _prepare_independent(self, broker):
        make = super()._prepare_independent(broker)

        def noting(plan, group):
            self.made.append((plan.noun, plan.resources_per_worker, group.names))
            return make(plan, group)

        return noting


def steps(engine: RayEngine, until: Callable[[list[EngineEvent]], object]) -> list[EngineEvent]:
    """What happens until something has."""
    events: list[EngineEvent] = []
    end = time.monotonic() + LONGEST_S
    while not until(events):
        assert time.monotonic() < end, events
        engine.step(events.append, 0.2)
    return events


def records_of(events: Sequence[EngineEvent]) -> dict[str, dict[str, object]]:
    outcomes = [outcome for event in events if isinstance(event, TaskEnded) for outcome in event.outcomes]
    return {outcome.key: getattr(outcome, "record", None) or outcome.error for outcome in outcomes}


def placement(folder: Path) -> dict[str, object]:
    """Tasks that say where they run: of both kinds at once, one whose worker dies, and what CPU workers leave."""
    folder.mkdir()
    told: dict[str, object] = {}
    engine = RayEngine(ResourcesSpec(max_failures=1), tables=[])
    engine.useful_workers, engine.useful_by_place = 3, {"any": 1, "cpu": 2}

    def submit(key: str, runs_on: RunsOn, **settings: object) -> None:
        engine.submit(Task(key, [SaysWhere(key, str(folder), **settings)], runs_on=runs_on))

    with engine:
        told["separate"], told["device"] = engine.separate, engine.device
        told["workers"] = [engine.workers, engine.workers_for("any"), engine.workers_for("cpu")]
        # the first in the queue is not for the GPU worker, whichever comes first
        submit("svm", "cpu", others=("scmm",))
        submit("scmm", "any", others=("svm",))
        submit("knn", "cpu")
        told["both"] = records_of(steps(engine, lambda events: len(records_of(events)) == 3))
        submit("killed", "cpu", dies=True)
        events = steps(engine, records_of)
        told["killed"] = records_of(events)
        told["losses"] = [event.kind for event in events if isinstance(event, WorkerLost)]
        told["lost"] = [event.keys for event in events if isinstance(event, TaskLost)]
        engine.ended("cpu")
        steps(engine, lambda events: ray.available_resources().get("CPU") == 1.0)
        told["left"] = [engine.workers, engine.losses.text()]
        submit("later", "any")
        told["later"] = records_of(steps(engine, records_of))
    return told


def grid(folder: Path, store: Path) -> dict[str, object]:
    """A study of both kinds of methods."""
    plan = plan_of(study_of_both(folder))
    engine = PretendingEngine(plan.study.resources, plan.manifests)
    events = events_of_engine(engine)
    complete = run(plan, ResultStore(store), engine).complete
    of_cpu = {cell.key for cell in plan.cells if cell.variant in ("svm", "linear")}
    kinds = {name: noun for noun, _, names in engine.made for name in names}
    started = [event for event in events if isinstance(event, TaskStarted)]
    return {
        "complete": complete,
        "made": engine.made,
        "of_cpu": sorted({kinds[event.worker] for event in started if of_cpu.issuperset(event.keys)}),
        "others": sorted({kinds[event.worker] for event in started if of_cpu.isdisjoint(event.keys)}),
        "tasks": len(started),
        "waits": [str(event) for event in events if isinstance(event, TasksWait)],
        "losses": engine.losses.text(),
    }


@time_to_register(300)  # Ray gives a node 30 s, which are short on a busy machine
def main(folder: Path, asked: Path, beside: Path, after: Path, told_in: Path) -> None:
    """Run tasks that say where they are, a study with a CPU worker beside the GPU worker, and one with none.

    Parameters
    ----------
    folder : Path
        Of the tables.
    asked : Path
        Where the tasks see each other.
    beside, after : Path
        Stores of the two studies.
    told_in : Path
        What happened, by these names.
    """
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])  # Ray's processes do not find the tests' modules
    head = {"num_cpus": 2, "num_gpus": 1, "object_store_memory": MEMORY}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
    told = {"asked": placement(asked), "beside": grid(folder, beside)}
    holder = Holder.remote()  # somebody else has a CPU, and the GPU worker takes the other
    assert ray.get(holder.there.remote())
    told["after"] = grid(folder, after)
    told_in.write_text(json.dumps(told), encoding="utf-8")
    ray.shutdown()
    cluster.shutdown()
