"""What a sweep may vary: domains of dotted paths, each perhaps searched under a condition only.

A path is *searched* in a setting where all of its conditions hold. One that is not has no value there: it is not
sampled, and the base's value stands.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from graphlib import CycleError, TopologicalSorter
from typing import Literal

from pydantic import Field, model_validator

from scmmlab.config.base import Scalar, Spec
from scmmlab.config.experiment import ExperimentSpec

Conditions = dict[str, Scalar | tuple[Scalar, ...]]
"""Dotted path → the value, or one of the values, that it must have; all of them must hold."""


class FloatRange(Spec):
    """Numbers between two bounds."""

    low: float
    """Least value."""
    high: float
    """Greatest value."""
    log: bool = False
    """Whether the logarithm is uniform."""
    step: float | None = Field(None, gt=0)
    """Grid step from `low`, if any."""
    when: Conditions = Field(default_factory=dict)
    """Searched only where these paths, of the space or else of the base, have these values."""

    @model_validator(mode="after")
    def _check(self) -> FloatRange:
        if self.low >= self.high:
            raise ValueError(f"low must be less than high, got low {self.low} and high {self.high}")
        if self.log and self.low <= 0:
            raise ValueError(f"low must be above 0 with log, got {self.low}")
        if self.log and self.step is not None:
            raise ValueError("log and step cannot be combined")
        return self


class IntRange(FloatRange):
    """Whole numbers between two bounds, both included."""

    type: Literal["int"]
    """Says that the numbers are whole."""
    low: int
    """Least value."""
    high: int
    """Greatest value."""
    step: int | None = Field(None, ge=1)
    """Grid step from `low`, if any."""


class Choices(Spec):
    """One of a list."""

    choices: tuple[Scalar, ...] = Field(min_length=1)
    """The values."""
    when: Conditions = Field(default_factory=dict)
    """Searched only where these paths, of the space or else of the base, have these values."""


Domain = IntRange | FloatRange | Choices
Space = Mapping[str, Domain]


def conditions(domain: Domain) -> dict[str, tuple[Scalar, ...]]:
    """What a domain is searched under: path → the values of which it must have one."""
    return {path: value if isinstance(value, tuple) else (value,) for path, value in domain.when.items()}


def is_among(value: Scalar, values: Iterable[Scalar]) -> bool:
    """Whether `value` is one of `values`; true is not 1 here, though 1 is 1.0."""
    return any(isinstance(value, bool) == isinstance(one, bool) and value == one for one in values)


def is_searched(path: str, params: Mapping[str, Scalar], space: Space, base: ExperimentSpec) -> bool:
    """Whether a path of the space is searched in a setting.

    Parameters
    ----------
    path : str
        Of the space.
    params : mapping
        What the setting has been sampled to have so far: at least all that comes before `path` in `sampling_order`.
    space : mapping
        Path → domain.
    base : ExperimentSpec
        The experiment that the search varies.

    Notes
    -----
    A condition on a path that is not searched itself does not hold, whatever the base has there.
    """
    for condition, values in conditions(space[path]).items():
        if condition not in space:
            if not is_among(value_at(base, condition), values):
                return False
        elif condition not in params or not is_among(params[condition], values):
            return False
    return True


def sampling_order(space: Space) -> list[str]:
    """The paths, each after those that its conditions name, else as they stand. The conditions have no cycle."""
    order: list[str] = []

    def place(path: str) -> None:
        if path in order:
            return
        for condition in space[path].when:
            if condition in space:
                place(condition)
        order.append(path)

    for path in space:
        place(path)
    return order


def cycle_of(space: Space) -> list[str]:
    """Paths whose conditions lead back to the first of them, which stands at the end again; none where none do."""
    graph = {path: [condition for condition in domain.when if condition in space] for path, domain in space.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        # graphlib tells it from what is named to what names it
        return list(reversed(error.args[1]))
    return []


def never_searched(space: Space, base: ExperimentSpec) -> list[str]:
    """Paths whose conditions fail in the base, whatever is sampled, and those that depend on them."""
    never: list[str] = []
    for path in sampling_order(space):
        for condition, values in conditions(space[path]).items():
            fails = condition in never if condition in space else not is_among(value_at(base, condition), values)
            if fails:
                never.append(path)
                break
    return never


def value_at(base: ExperimentSpec, path: str) -> Scalar:
    """What the base has at a dotted path that exists there."""
    value: object = base
    for name in path.split("."):
        value = getattr(value, name)
    assert value is None or isinstance(value, bool | int | float | str)
    return value
