"""The methods that are installed, by name."""

from __future__ import annotations

from functools import cache
from typing import get_args

from scmmlab.config.experiment import ExperimentSpec
from scmmlab.config.plugins import GROUP, find_method, method_names
from scmmlab.errors import SpecError
from scmmlab.methods.contract import Method, RunsOn, Trainer


def method(name: str) -> Method:
    """The method of that name.

    Raises
    ------
    SpecError
        If none of that name is installed, or what is installed is no `Method`, or says that it runs nowhere.
    """
    found = find_method(name)
    if found is None:
        raise SpecError(f"There is no method '{name}'; those installed are {', '.join(method_names())}.")
    if not isinstance(found, Method):
        raise SpecError(
            f"The entry point '{name}' of {GROUP} must be a scmmlab.methods.contract.Method, got {found!r}."
        )
    if found.runs_on not in get_args(RunsOn):
        raise SpecError(
            f"runs_on of the method '{name}' must be one of {', '.join(map(repr, get_args(RunsOn)))}, "
            f"got {found.runs_on!r}.",
            hint="leave it out where the method computes on the device that it is given",
        )
    return found


def method_of(experiment: ExperimentSpec) -> Method:
    """The method of an experiment."""
    return method(experiment.method)


@cache
def trainer(name: str) -> Trainer:
    """The trainer of the method of that name; imports what it computes with."""
    return method(name).load()


def trainer_of(experiment: ExperimentSpec) -> Trainer:
    """The trainer of an experiment."""
    return trainer(experiment.method)


def all_methods() -> list[Method]:
    """Every method that is installed, ours first."""
    return [method(name) for name in method_names()]
