"""How many workers a cluster can hold, and how it is said that it cannot."""

from __future__ import annotations

from collections import Counter

import pytest

from scmmlab.config import ResourcesSpec
from scmmlab.errors import ResourceError
from scmmlab.execution.ray.resources import (
    WorkerPlan,
    WorkersThere,
    new_groups,
    place_workers,
    plan_workers,
    plan_workers_by_place,
    reserved,
    room_on,
    shortage,
    without,
)

LAPTOP = [{"CPU": 2.0}]
GPU_CLUSTER = [{"CPU": 16.0, "GPU": 4.0}, {"CPU": 16.0, "GPU": 4.0}, {"CPU": 8.0}]


def test_without_gpus_there_is_a_worker_a_cpu():
    assert plan_workers(ResourcesSpec(), LAPTOP) == WorkerPlan(2, 1.0, 0.0)


def test_with_gpus_there_is_a_worker_a_gpu():
    plan = plan_workers(ResourcesSpec(), GPU_CLUSTER)
    assert plan == WorkerPlan(8, 1.0, 1.0)
    assert plan.device == "cuda"
    assert plan.resources_per_worker == {"CPU": 1.0, "GPU": 1.0}


def test_workers_can_share_a_gpu_or_leave_it_alone():
    assert plan_workers(ResourcesSpec(gpus_per_worker=0.25), GPU_CLUSTER).workers == 32
    assert plan_workers(ResourcesSpec(gpus_per_worker=0), GPU_CLUSTER) == WorkerPlan(40, 1.0, 0.0)


def test_no_more_workers_than_there_is_work_for():
    assert plan_workers(ResourcesSpec(), GPU_CLUSTER, useful=3).workers == 3
    assert plan_workers(ResourcesSpec(workers_per_cell=2), LAPTOP, useful=1).workers == 2


@pytest.mark.parametrize(
    ("workers", "useful", "counts"),
    [
        (None, None, (40, 1, None)),
        (3, None, (3, 3, 3)),
        ({"min": 2}, None, (40, 2, None)),
        ({"max": 60}, None, (40, 1, 60)),
        ({"min": 4, "max": 9}, None, (9, 4, 9)),
        ({"min": 4, "max": 9}, 3, (3, 3, 3)),
        ({"min": 30}, 50, (40, 30, 50)),
    ],
)
def test_a_range_of_workers_is_filled_as_far_as_there_is_room_and_use(workers, useful, counts):
    plan = plan_workers(ResourcesSpec(workers=workers, gpus_per_worker=0), GPU_CLUSTER, useful)
    assert (plan.workers, plan.least, plan.most) == counts


def test_workers_are_placed_where_something_is_free():
    plan = plan_workers(ResourcesSpec(cpus_per_worker=2, gpus_per_worker=0.5), GPU_CLUSTER)
    free = {"a": {"CPU": 16.0, "GPU": 1.5}, "b": {"CPU": 3.0, "GPU": 4.0}, "c": {"CPU": 8.0}, "d": {}}
    assert room_on(plan, free) == {"a": 3, "b": 1}


def counts(plans: tuple[WorkerPlan, ...]) -> list[tuple[object, ...]]:
    return [(plan.noun, plan.workers, plan.least, plan.most, plan.device) for plan in plans]


@pytest.mark.parametrize("by_place", [{}, {"any": 5}, {"cpu": 5}, {"any": 5, "cpu": 5}])
def test_without_gpus_all_workers_take_all_tasks(by_place):
    for resources in (ResourcesSpec(), ResourcesSpec(workers=2, cpus_per_worker=0.5)):
        assert plan_workers_by_place(resources, LAPTOP, 7, by_place) == (plan_workers(resources, LAPTOP, 7),)
    none = ResourcesSpec(gpus_per_worker=0)
    assert plan_workers_by_place(none, GPU_CLUSTER, 7, by_place) == (plan_workers(none, GPU_CLUSTER, 7),)


def test_gpu_workers_are_alone_where_no_method_is_one_of_the_cpu():
    for by_place in ({}, {"any": 5}):
        (plan,) = plan_workers_by_place(ResourcesSpec(), GPU_CLUSTER, 5, by_place)
        assert plan == plan_workers(ResourcesSpec(), GPU_CLUSTER, 5)
        assert plan.takes == ("any", "cpu")


def test_study_of_the_cpu_alone_holds_no_gpu():
    for resources in (ResourcesSpec(), ResourcesSpec(gpus_per_worker=1)):
        (plan,) = plan_workers_by_place(resources, GPU_CLUSTER, 50, {"cpu": 50})
        assert plan == WorkerPlan(40, 1.0, 0.0, 1, 50)
        assert plan_workers_by_place(resources, LAPTOP, 50, {"cpu": 50})[0].workers == 2


@pytest.mark.parametrize(
    ("resources", "by_place", "expected"),
    [
        # 8 GPUs, 40 CPUs
        ({}, {"any": 100, "cpu": 100}, [("GPU worker", 8, 1, 100, "cuda"), ("CPU worker", 32, 1, 100, "cpu")]),
        ({}, {"any": 2, "cpu": 3}, [("GPU worker", 2, 1, 2, "cuda"), ("CPU worker", 3, 1, 3, "cpu")]),
        ({}, {"any": None, "cpu": None}, [("GPU worker", 8, 1, None, "cuda"), ("CPU worker", 32, 1, None, "cpu")]),
        # as many of either kind
        ({"workers": 4}, {"any": 9, "cpu": 9}, [("GPU worker", 4, 4, 4, "cuda"), ("CPU worker", 4, 1, 4, "cpu")]),
        # 4 CPUs a worker: none are left on the machines with GPUs, and two workers fit on the other
        (
            {"cpus_per_worker": 4},
            {"any": 9, "cpu": 9},
            [("GPU worker", 8, 1, 9, "cuda"), ("CPU worker", 2, 1, 9, "cpu")],
        ),
        # a worker of the CPU waits until those of the GPUs end
        (
            {"cpus_per_worker": 16},
            {"any": 9, "cpu": 9},
            [("GPU worker", 2, 1, 9, "cuda"), ("CPU worker", 0, 1, 9, "cpu")],
        ),
        (
            {"gpus_per_worker": 0.25},
            {"any": 99, "cpu": 9},
            [("GPU worker", 32, 1, 99, "cuda"), ("CPU worker", 8, 1, 9, "cpu")],
        ),
    ],
)
def test_cpu_workers_get_what_gpu_workers_leave(resources, by_place, expected):
    plans = plan_workers_by_place(ResourcesSpec.model_validate(resources), GPU_CLUSTER, 1, by_place)
    assert counts(plans) == expected
    assert [plan.takes for plan in plans] == [("any",), ("cpu",)]
    assert plans[1].resources_per_worker == {"CPU": plans[0].cpus}


def test_gpu_that_is_asked_for_and_lacking_is_named_whatever_runs_beside():
    with pytest.raises(ResourceError, match="The cluster lacks GPU for 1 worker"):
        plan_workers_by_place(ResourcesSpec(gpus_per_worker=1), LAPTOP, 2, {"any": 1, "cpu": 1})


def test_what_starting_workers_will_hold_is_not_free():
    free = {"a": {"CPU": 4.0, "GPU": 1.0}, "b": {"CPU": 3.0, "GPU": 2.0}}
    plan = WorkerPlan(3, 1.0, 1.0)
    assert without(free, plan, []) == free
    assert without(free, plan, [("b", 2), ("gone", 1)]) == {"a": free["a"], "b": {"CPU": 1.0, "GPU": 0.0}}
    assert without(free, plan, [(None, 2)]) == {"a": {"CPU": 3.0, "GPU": 0.0}, "b": {"CPU": 2.0, "GPU": 1.0}}


@pytest.mark.parametrize(
    ("most", "there", "cpus"),
    [
        # machine b has the CPUs for both of its GPUs' workers set aside, whoever has the GPUs
        (None, {}, {"a": 3.0, "b": 1.0, "c": 8.0}),
        (None, {"a": 1}, {"a": 4.0, "b": 1.0, "c": 8.0}),
        (None, {"a": 1, "b": 2}, {"a": 4.0, "b": 3.0, "c": 8.0}),
        # no more are wanted
        (1, {"b": 1}, {"a": 4.0, "b": 3.0, "c": 8.0}),
        (2, {"a": 1}, {"a": 4.0, "b": 2.0, "c": 8.0}),
    ],
)
def test_cpu_workers_spare_the_cpus_of_gpu_workers_that_are_to_come(most, there, cpus):
    nodes = {"a": {"CPU": 8.0, "GPU": 1.0}, "b": {"CPU": 4.0, "GPU": 2.0}, "c": {"CPU": 8.0}}
    free = {"a": {"CPU": 4.0}, "b": {"CPU": 3.0}, "c": {"CPU": 8.0}}
    left = reserved(free, nodes, WorkerPlan(3, 1.0, 1.0, 1, most), there)
    assert {name: resources["CPU"] for name, resources in left.items()} == cpus


GPU_WORKERS, CPU_WORKERS = WorkerPlan(1, 1.0, 1.0, takes=("any",)), WorkerPlan(3, 1.0, 0.0, takes=("cpu",))
BOX = {"box": {"CPU": 4.0, "GPU": 1.0}}


def there(plan: WorkerPlan, tasks: int = 9, workers: int = 0, starting: bool = False, **more: object) -> WorkersThere:
    """Workers that are all on one machine."""
    placement = [("box", workers)] if starting else []
    return WorkersThere(plan, tasks, workers, nodes=Counter(box=workers), starting=placement, **more)


@pytest.mark.parametrize(
    ("gpu", "cpu", "free", "placed"),
    [
        # GPU workers first, and the others with what is left
        ({}, {}, {"CPU": 4.0, "GPU": 1.0}, [1, 3]),
        ({}, {}, {"CPU": 1.0, "GPU": 1.0}, [1, 0]),
        # what those hold that are being started still counts as free
        ({"workers": 1, "starting": True}, {}, {"CPU": 4.0, "GPU": 1.0}, [0, 3]),
        ({"workers": 1, "starting": True}, {}, {"CPU": 1.0, "GPU": 1.0}, [0, 0]),
        ({}, {"workers": 1, "starting": True}, {"CPU": 1.0, "GPU": 1.0}, [0, 0]),
        # somebody else has the GPU: a CPU is left for when it becomes free, unless there is but one
        ({}, {}, {"CPU": 3.0}, [0, 2]),
        ({}, {}, {"CPU": 1.0}, [0, 1]),
        ({}, {"workers": 1}, {"CPU": 1.0}, [0, 0]),
        ({"ended": True, "tasks": 0}, {"workers": 1}, {"CPU": 3.0}, [0, 3]),
        # nobody has anything to do
        ({"tasks": 0}, {"tasks": 0}, {"CPU": 4.0, "GPU": 1.0}, [0, 0]),
        ({"workers": 1}, {"tasks": 2, "workers": 2}, {"CPU": 1.0}, [0, 0]),
    ],
)
def test_gpu_workers_are_placed_first_and_find_a_cpu_when_their_gpu_becomes_free(gpu, cpu, free, placed):
    kinds = [there(GPU_WORKERS, **gpu), there(CPU_WORKERS, **cpu)]
    found = place_workers(kinds, {"box": free}, BOX)
    assert [sum(workers for _, workers in groups) for groups in found] == placed


def test_workers_that_are_all_alike_are_placed_wherever_there_is_room():
    plan = WorkerPlan(4, 1.0, 0.0, least=2, most=3)
    alike = there(plan, least=2)
    assert place_workers([alike], {"box": {"CPU": 1.0}}, {}) == [[]], "fewer are not started"
    assert place_workers([alike], {"box": {"CPU": 4.0}}, {}) == [[("box", 3)]]
    assert place_workers([there(plan, workers=2)], {"box": {"CPU": 2.0}}, {}) == [[("box", 1)]]
    assert place_workers([there(plan, workers=2, starting=True)], {"box": {"CPU": 3.0}}, {}) == [[("box", 1)]]
    pairs = WorkersThere(WorkerPlan(4, 1.0, 0.0), 9, least=2, together=2)
    assert place_workers([pairs], {"a": {"CPU": 3.0}, "b": {"CPU": 2.0}}, {}) == [[(None, 2), (None, 2)]]


@pytest.mark.parametrize(
    ("absent", "wanted", "together", "groups"),
    [
        ([], None, None, [("a", 3), ("b", 1)]),
        ([], 2, None, [("a", 2)]),
        ([], 0, None, []),
        ([], -1, None, []),
        ([("a", 2)], None, None, [("a", 1), ("b", 1)]),
        ([("gone", 2), ("b", 3)], None, None, [("a", 3)]),
        ([], None, 2, [(None, 2), (None, 2)]),
        ([(None, 2)], None, 2, [(None, 2)]),
        ([(None, 2)], None, 3, []),
        ([], 3, 2, [(None, 2)]),
    ],
)
def test_groups_are_started_where_there_is_room_that_no_other_will_take(absent, wanted, together, groups):
    assert new_groups({"a": 3, "b": 1}, absent, wanted, together) == groups


def test_threads_are_the_cpus_of_a_worker():
    assert plan_workers(ResourcesSpec(cpus_per_worker=2), LAPTOP).threads == 2
    assert plan_workers(ResourcesSpec(cpus_per_worker=0.5), LAPTOP).threads == 1


@pytest.mark.parametrize(
    ("resources", "nodes", "sentence"),
    [
        ({"workers": 4}, LAPTOP, "The cluster lacks CPU for 4 workers with 1 CPU each: 4 CPU needed, 2 there."),
        (
            {"workers": {"min": 3, "max": 8}},
            LAPTOP,
            "The cluster lacks CPU for 3 workers with 1 CPU each: 3 CPU needed, 2 there.",
        ),
        (
            {"gpus_per_worker": 1},
            LAPTOP,
            "The cluster lacks GPU for 1 worker with 1 CPU and 1 GPU: 1 GPU needed, 0 there.",
        ),
        (
            {"workers_per_cell": 16},
            GPU_CLUSTER,
            "The cluster lacks GPU for 16 workers with 1 CPU and 1 GPU each: 16 GPU needed, 8 there.",
        ),
        (
            {"cpus_per_worker": 20},
            GPU_CLUSTER,
            "No arrangement of 1 worker with 20 CPU and 1 GPU fits on the cluster's machines: "
            "the largest have 16 CPU, 4 GPU.",
        ),
    ],
)
def test_missing_resource_is_named(resources, nodes, sentence):
    with pytest.raises(ResourceError) as caught:
        plan_workers(ResourcesSpec(**resources), nodes)
    assert caught.value.message == sentence
    assert "resources.workers" in caught.value.hint


@pytest.mark.parametrize(
    ("nodes", "free", "sentence"),
    [
        ([{"CPU": 4.0}], [{"CPU": 2.0}], None),
        ([{"CPU": 4.0}], [{"CPU": 0.5}], "2 workers with 1 CPU each need 2 CPU, 0.5 of 4 free"),
        ([{"CPU": 1.0}], [{"CPU": 1.0}], "2 workers with 1 CPU each need 2 CPU, 1 there"),
        ([], [], "2 workers with 1 CPU each need 2 CPU, 0 there"),
        (
            [{"CPU": 2.0}] * 2,
            [{"CPU": 1.5}, {"CPU": 0.5}],
            "2 workers with 1 CPU each do not fit on the free CPU of any machine",
        ),
    ],
)
def test_what_keeps_workers_from_starting_is_named(nodes, free, sentence):
    assert shortage(WorkerPlan(2, 1.0, 0.0), 2, nodes, free) == sentence


def test_gpus_that_others_hold_are_named():
    plan = WorkerPlan(4, 2.0, 1.0)
    free = [{"CPU": 16.0, "GPU": 1.0}, {"CPU": 16.0, "GPU": 0.0}, {"CPU": 8.0}]
    assert shortage(plan, 4, GPU_CLUSTER, free) == "4 workers with 2 CPU and 1 GPU each need 4 GPU, 1 of 8 free"
