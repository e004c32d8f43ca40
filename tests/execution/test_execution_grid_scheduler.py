"""Which stages run next."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scmmlab.execution.grid.scheduler import Scheduler, Stage, StageState


def pretrain(key: str, signature: str = "p") -> Stage:
    return Stage(key, "pretrain", None, signature, 1)


def cell(key: str, needs: str | None, signature: str = "c", folds: int = 1) -> Stage:
    return Stage(key, "finetune", needs, signature, folds)


def scheduler(*stages: Stage, done: tuple[str, ...] = (), size: int = 4, first: str = "finetune") -> Scheduler:
    return Scheduler(stages, done, lambda stage: size, first)


def keys(pack: tuple[Stage, ...]) -> list[str]:
    return [stage.key for stage in pack]


def test_stage_that_several_cells_need_is_run_once_and_before_them():
    plan = scheduler(pretrain("e"), cell("a", "e"), cell("b", "e"))
    assert keys(plan.next(1)) == ["e"]
    assert plan.next(1) == ()
    plan.done("e")
    assert keys(plan.next(1)) == ["a", "b"]


def of_cpu(key: str, signature: str = "s") -> Stage:
    return Stage(key, "finetune", None, signature, 1, runs_on="cpu")


def test_workers_for_a_place_get_what_runs_there_and_others_get_all_in_the_order_of_the_plan():
    plan = scheduler(of_cpu("svm"), cell("a", None), of_cpu("knn", "k"), cell("b", None), size=1)
    assert plan.upcoming(("any",)).key == "a"
    assert keys(plan.next(1, places=("any",))) == ["a"]
    assert [keys(plan.next(1, places=("cpu",))) for _ in range(3)] == [["svm"], ["knn"], []]
    assert keys(plan.next(1)) == ["b"]
    together = scheduler(of_cpu("svm"), cell("a", None), of_cpu("knn", "k"), cell("b", None), size=1)
    assert [keys(together.next(1)) for _ in range(4)] == [["svm"], ["a"], ["knn"], ["b"]]


def test_ready_stages_are_spread_over_the_workers_that_take_them():
    plan = scheduler(*[cell(f"c{n}", None) for n in range(4)], *[of_cpu(f"s{n}") for n in range(4)], size=8)
    assert [len(plan.next(2, idle, ("cpu",))) for idle in (2, 1)] == [2, 2]
    assert [len(plan.next(4, idle, ("any",))) for idle in (4, 3)] == [1, 1]


def test_a_place_is_finished_when_nothing_that_runs_there_is_left():
    plan = scheduler(pretrain("e"), cell("a", "e"), of_cpu("svm"))
    assert (plan.unfinished("any"), plan.unfinished("cpu")) == (2, 1)
    plan.next(1, places=("cpu",))
    assert plan.unfinished("cpu") == 1, "it runs"
    plan.done("svm")
    assert (plan.unfinished("any"), plan.unfinished("cpu")) == (2, 0)
    assert not plan.finished
    plan.next(1)
    plan.failed("e")
    assert plan.finished


def test_where_pretraining_goes_first_it_does_so_for_all_workers():
    plan = scheduler(of_cpu("svm"), pretrain("e"), cell("a", "e"), first="pretrain", size=1)
    assert plan.upcoming(("cpu",)) is None
    assert keys(plan.next(1, places=("any",))) == ["e"]
    assert keys(plan.next(1, places=("cpu",))) == ["svm"]


def test_cell_whose_encoder_is_there_is_ready_at_once():
    plan = scheduler(pretrain("e"), cell("a", "e"), done=("e",))
    assert keys(plan.next(1)) == ["a"]


def test_failure_of_pretraining_fails_its_cells_alone():
    plan = scheduler(pretrain("e"), cell("a", "e"), cell("b", "e"), cell("c", None))
    assert keys(plan.next(1)) == ["c"]
    assert keys(plan.next(1)) == ["e"]
    assert plan.failed("e") == ["a", "b"]
    assert plan.state("c") is StageState.RUNNING
    plan.done("c")
    assert plan.finished


def test_what_is_ready_is_spread_over_the_workers_before_packs_are_filled():
    plan = scheduler(*[pretrain(f"e{n}") for n in range(5)], size=8)
    assert [len(plan.next(2, idle)) for idle in (2, 1)] == [3, 2]


def test_all_workers_get_packs_of_one_size_whatever_fits_together():
    plan = scheduler(*[pretrain(f"e{n}", signature="narrow" if n < 6 else "wide") for n in range(8)], size=64)
    assert [keys(plan.next(2, idle)) for idle in (2, 1, 0)] == [["e0", "e1", "e2", "e3"], ["e4", "e5"], ["e6"]]


def test_what_is_queued_for_later_is_shared_by_all_workers():
    plan = scheduler(*[pretrain(f"e{n}") for n in range(20)], size=4)
    assert [len(plan.next(2, idle)) for idle in (2, 1, 0, 0, 0, 0)] == [4, 4, 4, 4, 2, 1]


def test_nobody_idles_for_long_beside_others_with_more_steps():
    stages = [Stage(f"e{steps}", "pretrain", None, "p", 1, steps) for steps in (100, 80, 10, 130, 75, 9)]
    plan = scheduler(*stages, size=8)
    packs = [keys(plan.next(1)) for _ in range(3)]
    assert packs == [["e100", "e80", "e75"], ["e10", "e9"], ["e130"]]


def test_packs_hold_stages_that_fit_and_no_more_replicas_than_allowed():
    plan = scheduler(*[cell(f"c{n}", None, signature=f"f{n % 2}", folds=3) for n in range(6)], size=6)
    assert keys(plan.next(1)) == ["c0", "c2"]
    assert keys(plan.next(1)) == ["c1", "c3"]
    assert keys(plan.next(1)) == ["c4"]


def test_cell_with_more_folds_than_a_pack_goes_alone():
    plan = scheduler(cell("a", None, folds=9), cell("b", None, folds=9), size=4)
    assert keys(plan.next(1)) == ["a"]


@pytest.mark.parametrize(("first", "expected"), [("finetune", "a"), ("pretrain", "e2")])
def test_one_kind_goes_before_the_other(first, expected):
    plan = scheduler(pretrain("e1"), pretrain("e2"), cell("a", "e1"), done=("e1",), first=first)
    assert keys(plan.next(1)) == [expected]


def test_cell_that_lacks_its_encoder_has_it_trained_again():
    plan = scheduler(pretrain("e"), cell("a", "e"), cell("b", "e"), done=("e",))
    pack = plan.next(1)
    for stage in pack:
        plan.lacks(stage.key)
    assert keys(plan.next(1)) == ["e"]
    plan.done("e")
    assert keys(plan.next(1)) == ["a", "b"]


@given(
    needs=st.lists(st.one_of(st.none(), st.integers(0, 3)), min_size=1, max_size=12),
    failing=st.sets(st.integers(0, 3)),
    workers=st.integers(1, 4),
    size=st.integers(1, 5),
)
def test_every_stage_ends_once_whatever_fails(needs, failing, workers, size):
    encoders = [pretrain(f"e{n}") for n in range(4)]
    cells = [cell(f"c{i}", None if n is None else f"e{n}") for i, n in enumerate(needs)]
    plan = scheduler(*encoders, *cells, size=size)
    run: list[str] = []
    while not plan.finished:
        pack = plan.next(workers)
        assert pack, "something is left, and nothing is ready"
        for stage in pack:
            run.append(stage.key)
            if stage.key in {f"e{n}" for n in failing}:
                plan.failed(stage.key)
            else:
                plan.done(stage.key)
    assert len(run) == len(set(run))
    lost = {f"c{i}" for i, n in enumerate(needs) if n in failing}
    assert set(run) == {stage.key for stage in [*encoders, *cells]} - lost
