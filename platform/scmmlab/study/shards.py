"""Shards of a study (`--part K/N`): its cells divided among drivers that share nothing but the store."""

from __future__ import annotations

import heapq
import re
from dataclasses import dataclass, replace

from scmmlab.config import SweepSpec
from scmmlab.errors import SpecError
from scmmlab.study.cells import Cell
from scmmlab.study.estimate import PRETRAIN_STEP_WEIGHT, finetune_steps, pretrain_steps
from scmmlab.study.plan import Plan


@dataclass(frozen=True)
class Shard:
    """One part of a study, written ``K/N``."""

    number: int
    """Which, from 1."""
    of: int
    """How many there are."""

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

    @classmethod
    def parse(cls, text: str) -> Shard:
        """The part that a text such as ``3/8`` names.

        Raises
        ------
        SpecError
            If it names none.
        """
        found = re.fullmatch(r"(\d+)/(\d+)", text)
        shard = cls(int(found[1]), int(found[2])) if found else None
        if shard is None or not 1 <= shard.number <= shard.of:
            raise SpecError(f"it must be K/N with K from 1 to N, got {text!r}.")
        return shard


def overlap(one: Shard | None, other: Shard | None) -> bool:
    """Whether two drivers run some of the same cells; None is the whole study. Divisions into other numbers overlap."""
    return one is None or other is None or one.of != other.of or one.number == other.number


def plan_of_shard(plan: Plan, shard: Shard) -> Plan:
    """The plan with the cells of one shard only, in their order.

    Cells that start from the same pre-training are in one shard, so that nothing is run twice. Shards have about equal
    work. They depend on the plan alone and not on what is finished: drivers that start at different times divide alike.

    Parameters
    ----------
    plan : Plan
        The plan of an ablation.
    shard : Shard
        Which shard.

    Raises
    ------
    SpecError
        If the study is a sweep, or has not so many groups of cells.
    """
    if isinstance(plan.study, SweepSpec):
        raise SpecError(
            f"Study '{plan.study.name}' is a sweep, which has no parts: each setting is chosen by those before it.",
            hint="run it as a whole; its workers may be on several machines",
        )
    groups: dict[str, list[Cell]] = {}
    for cell in plan.cells:
        groups.setdefault(cell.pretrain_key or cell.key, []).append(cell)
    if shard.of > len(groups):
        raise SpecError(
            f"Study '{plan.study.name}' cannot be divided into {shard.of} parts: its {len(plan.cells)} cells start "
            f"from {len(groups)} pre-trainings, and cells with the same one are in one part.",
            hint=f"--part K/{len(groups)} at most",
        )
    # the largest first, each to the part that has least (Graham 1969: at most a third longer than the best division)
    work = {key: _work(plan, group) for key, group in groups.items()}
    loads = [(0.0, number) for number in range(1, shard.of + 1)]
    mine: set[str] = set()
    for key in sorted(groups, key=lambda key: -work[key]):
        load, number = loads[0]
        heapq.heapreplace(loads, (load + work[key], number))
        if number == shard.number:
            mine.add(key)
    return replace(plan, cells=tuple(cell for cell in plan.cells if (cell.pretrain_key or cell.key) in mine))


def _work(plan: Plan, group: list[Cell]) -> float:
    """Work of cells that start from one pre-training, in fine-tuning steps; what has the same key is run once."""
    first, source = group[0], plan.source(group[0].transfer)
    pretrain = 0.0 if first.pretrain_key is None else PRETRAIN_STEP_WEIGHT * pretrain_steps(first, source)
    distinct = {cell.key: cell for cell in group}.values()
    return pretrain + sum(finetune_steps(cell, source, plan.target(cell.transfer)) for cell in distinct)
