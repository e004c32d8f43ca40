"""Parts of a study: its cells divided among drivers that need nothing of each other, but the store."""

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
class Part:
    """One of the parts."""

    number: int
    """Which, from 1."""
    of: int
    """How many there are."""

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

    @classmethod
    def parse(cls, text: str) -> Part:
        """The part that a text such as ``3/8`` names.

        Raises
        ------
        SpecError
            If it names none.
        """
        found = re.fullmatch(r"(\d+)/(\d+)", text)
        part = cls(int(found[1]), int(found[2])) if found else None
        if part is None or not 1 <= part.number <= part.of:
            raise SpecError(f"it must be K/N with K from 1 to N, got {text!r}.")
        return part


def overlap(one: Part | None, other: Part | None) -> bool:
    """Whether two drivers would be at the same cells; None is the whole study. Divisions into other numbers cross."""
    return one is None or other is None or one.of != other.of or one.number == other.number


def plan_of_part(plan: Plan, part: Part) -> Plan:
    """The plan with the cells of one part only, in their order.

    Cells that start from the same pre-training are of one part, so that nothing is run twice. Parts get about the same
    work. They depend on the plan alone and not on what is finished: drivers that start at different times divide alike.

    Parameters
    ----------
    plan : Plan
        The plan of an ablation.
    part : Part
        Which part.

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
    if part.of > len(groups):
        raise SpecError(
            f"Study '{plan.study.name}' cannot be divided into {part.of} parts: its {len(plan.cells)} cells start from "
            f"{len(groups)} pre-trainings, and cells with the same one are of one part.",
            hint=f"--part K/{len(groups)} at most",
        )
    # the largest first, each to the part that has least (Graham 1969: at most a third longer than the best division)
    work = {key: _work(plan, group) for key, group in groups.items()}
    loads = [(0.0, number) for number in range(1, part.of + 1)]
    mine: set[str] = set()
    for key in sorted(groups, key=lambda key: -work[key]):
        load, number = loads[0]
        heapq.heapreplace(loads, (load + work[key], number))
        if number == part.number:
            mine.add(key)
    return replace(plan, cells=tuple(cell for cell in plan.cells if (cell.pretrain_key or cell.key) in mine))


def _work(plan: Plan, group: list[Cell]) -> float:
    """Work of cells that start from one pre-training, in fine-tuning steps; what has the same key is run once."""
    first, source = group[0], plan.source(group[0].transfer)
    pretrain = 0.0 if first.pretrain_key is None else PRETRAIN_STEP_WEIGHT * pretrain_steps(first, source)
    distinct = {cell.key: cell for cell in group}.values()
    return pretrain + sum(finetune_steps(cell, source, plan.target(cell.transfer)) for cell in distinct)
