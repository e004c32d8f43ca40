"""How long GPU workers and CPU workers take together, as `scmmlab plan` estimates it."""

from __future__ import annotations

import re

import pytest
from tiny_study import ablation, plan_of

from scmmlab.config import ResourcesSpec
from scmmlab.execution import estimate as module
from scmmlab.execution.estimate import estimate, workers_here
from scmmlab.execution.progress import duration
from scmmlab.execution.ray.resources import WorkerPlan
from scmmlab.study import Rates, estimate_seconds

VARIANTS = {"full": {}, "linear": {"set": {"method": "linear"}}}


@pytest.fixture(scope="module")
def plan(tmp_path_factory):
    return plan_of(ablation(tmp_path_factory.mktemp("estimate"), variants=VARIANTS))


def of_gpus_and_cpus(cpu_workers: int) -> tuple[WorkerPlan, WorkerPlan]:
    """As on a machine with a GPU; both are timed on the CPU here."""
    return WorkerPlan(1, 1.0, 0.0, takes=("any",)), WorkerPlan(cpu_workers, 1.0, 0.0, takes=("cpu",))


def cells_of(plan, variant: str) -> set[str]:
    return {cell.key for cell in plan.cells if cell.variant == variant}


def test_it_asks_for_the_workers_of_what_is_missing(plan, monkeypatch):
    asked = []

    def workers(resources, places):
        asked.append(set(places))
        return workers_here(resources, places)

    monkeypatch.setattr(module, "workers_here", workers)
    monkeypatch.setattr(module, "_rate", lambda *_: 1.0)
    for done in ((), cells_of(plan, "linear"), {*plan.pretraining, *cells_of(plan, "full")}):
        estimate(plan, done)
    assert estimate(plan, {*plan.pretraining, *plan.distinct}) == "Nothing is missing."
    assert asked[:3] == [{"any", "cpu"}, {"any"}, {"cpu"}]


def test_workers_of_both_kinds_are_timed_with_methods_of_their_own(plan, monkeypatch):
    monkeypatch.setattr(module, "SECONDS", 0.02)
    monkeypatch.setattr(module, "workers_here", lambda resources, places: of_gpus_and_cpus(2))
    said = estimate(plan, ())
    speeds = r"1 CPU worker, \d+ pre-training and \d+ fine-tuning steps a second each; "
    speeds += r"2 CPU workers, \d+ fine-tuning steps a second each\."
    assert re.fullmatch(rf"About .* on this machine: {speeds}", said), said


@pytest.mark.parametrize(
    ("engine", "cpu_workers", "at_once"), [("ray", 2, True), ("ray", 0, False), ("local", 2, False)]
)
def test_the_slower_kind_decides_unless_one_waits_for_the_other(plan, monkeypatch, engine, cpu_workers, at_once):
    """One process, or one CPU for all, does one after the other."""
    slow = {"any": 0.05, "cpu": 0.02}
    monkeypatch.setattr(module, "_rate", lambda part, kind, workers: slow[workers.takes[0]])
    monkeypatch.setattr(module, "workers_here", lambda resources, places: of_gpus_and_cpus(cpu_workers))
    number = max(1, cpu_workers) if engine == "ray" else 1
    of_gpu = estimate_seconds(plan, cells_of(plan, "linear"), Rates(0.05, 0.05))
    of_cpu = estimate_seconds(plan, {*plan.pretraining, *cells_of(plan, "full")}, Rates(number * 0.02, number * 0.02))
    assert min(of_gpu, of_cpu) > 100
    seconds = (20 if engine == "ray" else 0) + (max(of_gpu, of_cpu) if at_once else of_gpu + of_cpu)
    assert estimate(plan, (), engine).startswith(f"About {duration(60 * round(seconds / 60))} on this machine: ")


def test_without_a_gpu_all_workers_are_alike():
    for places in (("any",), ("cpu",), ("any", "cpu")):
        (workers,) = workers_here(ResourcesSpec(gpus_per_worker=0), places)
        assert workers.takes == ("any", "cpu")
