"""Where two records differ, to the last digit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from scmmlab.study.objects import Record, plain

_ABSENT = "absent"


@dataclass(frozen=True)
class Difference:
    """One figure that is not the same."""

    path: str
    """Where in the record: `folds.0.test.accuracy`."""
    stored: Any
    """As the store has it."""
    found: Any
    """As it came out."""

    def __str__(self) -> str:
        text = f"{self.path}: {_short(self.stored)} stored, {_short(self.found)} recomputed"
        if _is_number(self.stored) and _is_number(self.found) and self.stored:
            text += f" (relative difference {abs(self.found - self.stored) / abs(self.stored):.1e})"
        return text


def record_diff(stored: Record, found: Record) -> list[Difference]:
    """Every place where two records of one cell differ; where its tables lie is no part of what is compared."""
    return list(_diff(without_locations(plain(stored)), without_locations(plain(found)), ""))


def without_locations(record: Record) -> Record:
    """A cell's record without the places of its tables, which depend on the machine."""
    transfer = dict(record["transfer"])
    for side in ("source", "target"):
        transfer[side] = {name: value for name, value in transfer[side].items() if name != "table"}
    return {**record, "transfer": transfer}


def _diff(stored: Any, found: Any, path: str) -> Iterator[Difference]:
    if isinstance(stored, Mapping) and isinstance(found, Mapping):
        for name in sorted(stored.keys() | found.keys()):
            yield from _diff(stored.get(name, _ABSENT), found.get(name, _ABSENT), f"{path}.{name}".lstrip("."))
    elif isinstance(stored, list) and isinstance(found, list):
        for number, (one, other) in enumerate(zip_longest(stored, found, fillvalue=_ABSENT)):
            yield from _diff(one, other, f"{path}.{number}")
    elif type(stored) is not type(found) or stored != found:
        yield Difference(path, stored, found)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
