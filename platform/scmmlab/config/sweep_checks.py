"""What can be wrong with a sweep beyond the form of its file: found when it is read, before anything is sampled."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from dataclasses import replace
from itertools import product
from typing import Any

from pydantic import TypeAdapter, ValidationError

from scmmlab.config.base import Scalar
from scmmlab.config.experiment import ExperimentSpec
from scmmlab.config.problems import Problem, name_one_of, show
from scmmlab.config.search_space import (
    Choices,
    Domain,
    FloatRange,
    IntRange,
    Space,
    conditions,
    cycle_of,
    is_among,
    never_searched,
    value_at,
)
from scmmlab.config.study import SweepSpec
from scmmlab.config.variants import try_variant
from scmmlab.errors import nearest

_DOMAIN: TypeAdapter[Domain] = TypeAdapter(Domain)


def space_problems(base: ExperimentSpec, space: object, unreadable: Container[str]) -> list[Problem]:
    """What is wrong with the conditions and values of a space in this base.

    The ends of each range, and each choice, are tried in the base, with the values under which they are searched.

    Parameters
    ----------
    base : ExperimentSpec
        The experiment that the search varies.
    space : object
        What the file has as its space.
    unreadable : container of str
        Paths whose domain is wrong in itself, which are left out.
    """
    problems = [Problem(("base", *path.split(".")), message) for path, message in base.contradictions()]
    domains = _readable(space, unreadable)
    if "method" in domains:
        message = "a sweep tunes one method, since methods are not judged on one scale; compare them in an ablation"
        return [*problems, Problem(("space", "method"), message)]
    wrong = [problem for path in domains for problem in _condition_problems(base, domains, path)]
    if not wrong and (cycle := cycle_of(domains)):
        message = f"conditions must not form a cycle, got {' → '.join(cycle)}"
        wrong = [Problem(("space", cycle[0], "when"), message)]
    if wrong:
        return problems + wrong
    if domains and len(never_searched(domains, base)) == len(domains):
        problems.append(Problem(("space",), "nothing is left to search: the base fails the conditions of every path"))
    for path in domains:
        problems += _value_problems(base, domains, path)
    return problems


def sweep_problems(study: SweepSpec) -> list[Problem]:
    """What is wrong with a sweep whose parts are each well-formed."""
    problems = []
    kinds: set[str] = {study.base.protocol.kind}
    if isinstance(chosen := study.space.get("protocol.kind"), Choices):
        kinds |= {str(choice) for choice in chosen.choices}
    if study.transfers[0].set:
        message = "a sweep has one transfer, so what it changes belongs beneath 'base'"
        problems.append(Problem(("transfers", "0", "set"), message))
    if "released" in kinds:
        message = "it must be one without leaks in a sweep, which needs a validation part, got 'released'"
        problems.append(Problem(("base", "protocol", "kind"), message))
    budget = study.base.budget
    if "epochs" in study.objectives and budget not in study.space:
        needs = f"'epochs' needs '{budget}' in the space: all settings that are tried to the end spend the same"
        message = needs if budget else f"'epochs' is not an objective for '{study.base.method}', which has no epochs"
        problems.append(Problem(("objectives",), message))
    return problems


def point_problems(study: SweepSpec) -> list[Problem]:
    """What is wrong with the settings that are tried first, in a space that has no problems itself."""
    return [
        problem.beneath("points", str(index))
        for index, point in enumerate(study.points)
        for problem in _point_problems(study, point)
    ]


# --- conditions ------------------------------------------------------------------------------------------------------


def _readable(space: object, unreadable: Container[str]) -> dict[str, Domain]:
    domains: dict[str, Domain] = {}
    for path, values in space.items() if isinstance(space, dict) else ():
        if path in unreadable:
            continue
        try:
            domains[path] = _DOMAIN.validate_python(values)
        except ValidationError:
            continue  # reported by whoever validated the whole
    return domains


def _condition_problems(base: ExperimentSpec, space: Space, path: str) -> Iterator[Problem]:
    """Conditions that name nothing, or that cannot hold."""
    for condition, values in conditions(space[path]).items():
        found: list[Problem]
        if not values:
            found = [Problem((condition,), "it must name at least one value, got []")]
        elif condition in space:
            found = [problem for value in values for problem in _impossible(space[condition], condition, value)]
        else:
            found = [problem for value in values for problem in _refused(base, space, condition, value)]
        yield from (problem.beneath("space", path, "when") for problem in found)


def _impossible(domain: Domain, condition: str, value: Scalar) -> Iterator[Problem]:
    """Why a path of the space can never have `value`."""
    if isinstance(domain, Choices):
        if not is_among(value, domain.choices):
            texts = [choice for choice in domain.choices if isinstance(choice, str)]
            if isinstance(value, str) and len(texts) == len(domain.choices):
                yield Problem((condition,), name_one_of(value, texts))
            else:
                yield Problem((condition,), _not_a_choice(domain, value))
    elif isinstance(domain, IntRange):
        if message := _outside(domain, value):
            yield Problem((condition,), message)
    else:
        message = "a condition needs a path with choices or whole numbers, and the space has a range of numbers there"
        yield Problem((condition,), message)


def _refused(base: ExperimentSpec, space: Space, condition: str, value: Scalar) -> Iterator[Problem]:
    """Why the base can never have `value` at a path."""
    paths = list(_paths(base.model_dump()))
    if condition not in paths:
        guess = nearest(condition, [*space, *paths])
        message = "neither the space nor the base has this path" + (f"; did you mean {guess!r}?" if guess else "")
        yield Problem((condition,), message, unknown=True)
        return
    changed, problems = try_variant(base, {condition: value})
    if changed is None:
        # others say that the value is allowed, and makes no experiment with what the base has beside it
        yield from (problem for problem in problems if ".".join(problem.path) == condition)
    elif not is_among(taken := value_at(changed, condition), (value,)):
        yield Problem((condition,), f"it must be {show(taken)}, the value that it would be read as, got {show(value)}")


def _paths(values: Mapping[str, Any], above: str = "") -> Iterator[str]:
    """Dotted paths of all single values."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _paths(value, f"{above}{name}.")
        else:
            yield f"{above}{name}"


# --- values ----------------------------------------------------------------------------------------------------------


def _value_problems(base: ExperimentSpec, space: Space, path: str) -> list[Problem]:
    """The first of a domain's values that the experiment does not take."""
    for premise in _premises(space, path):
        for value in _samples(space[path]):
            found = try_variant(base, {**premise, path: value})[1]
            if found:
                return [_with_type_hint(problem.beneath("space"), space[path]) for problem in found]
    return []


def _premises(space: Space, path: str) -> Iterator[dict[str, Scalar]]:
    """Changes of the base under which a path is searched, one for each way in which its own conditions can hold."""
    named = conditions(space[path])
    for values in product(*named.values()):
        own = dict(zip(named, values, strict=True))
        above: dict[str, Scalar] = {}
        for condition in own:
            if condition in space:
                above |= next(_premises(space, condition))
        yield above | own


def _samples(domain: Domain) -> list[Scalar]:
    """Values that a domain yields: of a range its ends, and one between them that is whole only if all are."""
    match domain:
        case Choices():
            return list(domain.choices)
        case IntRange():
            return [domain.low, domain.high]
        case FloatRange():
            between = domain.low + (domain.step or (domain.high - domain.low) * 0.381966)
            return [domain.low, domain.high, between]


def _with_type_hint(problem: Problem, domain: Domain) -> Problem:
    """A range of numbers for a setting that takes whole ones lacks its type."""
    if "whole number" not in problem.message or isinstance(domain, Choices | IntRange):
        return problem
    return replace(problem, message=f"{problem.message}; 'type: int' makes the range one of whole numbers")


# --- points ----------------------------------------------------------------------------------------------------------


def _point_problems(study: SweepSpec, point: Mapping[str, Scalar]) -> Iterator[Problem]:
    """Paths that are not of the space or not searched in this point, and values that its domains do not have."""
    for path, value in point.items():
        domain = study.space.get(path)
        if domain is None:
            guess = nearest(path, study.space)
            listed = ", ".join(map(repr, study.space))
            message = f"points may only name paths of the space, which are {listed}"
            yield Problem((path,), message + (f"; did you mean {guess!r}?" if guess else ""), unknown=True)
        elif isinstance(domain, Choices):
            if not is_among(value, domain.choices):
                yield Problem((path,), _not_a_choice(domain, value))
        elif message := _outside(domain, value):
            yield Problem((path,), message)
        if domain is not None:
            yield from _inactive(study, point, path)


def _inactive(study: SweepSpec, point: Mapping[str, Scalar], path: str) -> Iterator[Problem]:
    """Why a path that a point names is not searched there."""
    for condition, values in conditions(study.space[path]).items():
        only = f"it is searched only where '{condition}' is {_any_of(values)}"
        if condition not in study.space:
            if not is_among(got := value_at(study.base, condition), values):
                yield Problem((path,), f"{only}, and the base has {show(got)}")
        elif condition not in point:
            yield Problem((path,), f"{only}, so a point that names it must name '{condition}' too")
        elif not is_among(point[condition], values):
            yield Problem((path,), f"{only}, and this point has {show(point[condition])}")


def _any_of(values: tuple[Scalar, ...]) -> str:
    return " or ".join(map(show, values))


def _not_a_choice(domain: Choices, value: Scalar) -> str:
    return f"it must be one of the choices {show(list(domain.choices))}, got {show(value)}"


def _outside(domain: FloatRange, value: Scalar) -> str:
    """Why a number is none of a range's; empty where it is one."""
    within = f"it must lie in [{domain.low}, {domain.high}] as its space says, got {show(value)}"
    if value is None or isinstance(value, str | bool) or not domain.low <= value <= domain.high:
        return within
    if isinstance(domain, IntRange) and value != int(value):
        return f"it must be a whole number as its space says, got {show(value)}"
    if domain.step is not None:
        steps = (value - domain.low) / domain.step
        if abs(steps - round(steps)) > 1e-8:
            return f"it must lie in steps of {domain.step} from {domain.low} as its space says, got {show(value)}"
    return ""
