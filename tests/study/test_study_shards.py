"""A study's parts: what each holds, what is refused, and which drivers may be at work beside each other."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from study_fakes import ablation, plan_of, sweep

from scmmlab.errors import BusyError, SpecError
from scmmlab.study import ResultStore, Shard, lease_holders, plan_of_shard, study_lease
from scmmlab.study.estimate import PRETRAIN_STEP_WEIGHT, finetune_steps, pretrain_steps
from scmmlab.study.shards import overlap


def groups(plan) -> set[str]:
    return {cell.pretrain_key or cell.key for cell in plan.cells}


def work(plan) -> float:
    first = {key: cells[0] for key, cells in plan.pretraining.items()}
    pretrain = sum(pretrain_steps(cell, plan.source(cell.transfer)) for cell in first.values())
    finetune = (
        finetune_steps(cell, plan.source(cell.transfer), plan.target(cell.transfer)) for cell in plan.distinct.values()
    )
    return PRETRAIN_STEP_WEIGHT * pretrain + sum(finetune)


@settings(max_examples=30)
@given(data=st.data(), seeds=st.integers(1, 5), epochs=st.lists(st.integers(1, 300), min_size=1, max_size=4))
def test_each_cell_is_of_one_part_and_no_pretraining_of_two(data, seeds, epochs) -> None:
    longer = {f"epochs_{number}": {"set": {"pretrain.epochs": many}} for number, many in enumerate(epochs)}
    plan = plan_of(ablation(seeds=list(range(seeds)), variants=dict(ablation().variants) | longer))
    of = data.draw(st.integers(1, len(groups(plan))))
    parts = [plan_of_shard(plan, Shard(number, of)) for number in range(1, of + 1)]
    assert all(part.cells for part in parts)
    assert sorted(cell.name for part in parts for cell in part.cells) == sorted(cell.name for cell in plan.cells)
    assert sum(len(part.pretraining) for part in parts) == len(plan.pretraining)
    assert sum(len(part.distinct) for part in parts) == len(plan.distinct)
    for part in parts:
        assert list(part.cells) == [cell for cell in plan.cells if cell in part.cells], "in the order of the plan"
    # no part waits for another for longer than the largest group of cells takes
    many = len(groups(plan))
    largest = max(work(plan_of_shard(plan, Shard(number, many))) for number in range(1, many + 1))
    assert max(map(work, parts)) - min(map(work, parts)) <= largest


def test_a_plan_of_one_part_is_the_plan() -> None:
    assert plan_of_shard(plan_of(), Shard(1, 1)).cells == plan_of().cells


def test_more_parts_than_groups_of_cells_are_refused_to_all() -> None:
    plan = plan_of()
    assert len(groups(plan)) == 6
    for number in (1, 7):
        with pytest.raises(SpecError, match="cannot be divided into 7 parts: its 8 cells start from 6") as caught:
            plan_of_shard(plan, Shard(number, 7))
        assert caught.value.hint == "--part K/6 at most"


def test_a_sweep_has_no_parts() -> None:
    with pytest.raises(SpecError, match="'search' is a sweep, which has no parts"):
        plan_of_shard(plan_of(sweep()), Shard(1, 2))


def test_parts_of_one_division_are_apart_and_everything_else_overlaps() -> None:
    assert not overlap(Shard(1, 2), Shard(2, 2))
    assert overlap(Shard(1, 2), Shard(1, 2))
    assert overlap(Shard(1, 2), Shard(3, 3))
    assert overlap(Shard(1, 2), None)
    assert overlap(None, Shard(2, 2))
    assert overlap(None, None)


def test_parts_are_driven_side_by_side_and_neither_twice_nor_beside_the_whole(tmp_path) -> None:
    folder = ResultStore(tmp_path / "runs").study_folder("demo")

    def drive(part: Shard | None):
        return study_lease(folder, "demo", "wait", part)

    with drive(Shard(1, 2)), drive(Shard(2, 2)):
        there, gone = lease_holders(folder)
        assert sorted(str(seen.claim.part) for seen in there) == ["1/2", "2/2"]
        assert gone == []
        for part, at in ((Shard(1, 2), "part 1/2"), (Shard(3, 3), r"part [12]/2"), (None, r"part [12]/2")):
            with pytest.raises(BusyError, match=f"another driver has held {at} since"), drive(part):
                raise AssertionError("two drivers have the same cells")
    with drive(None), pytest.raises(BusyError, match="another driver has held it since"), drive(Shard(1, 2)):
        raise AssertionError("two drivers have the same cells")
    assert folder.claims().seen() == {}
