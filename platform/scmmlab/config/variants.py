"""A variant's experiment: the base with a few dotted paths changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from scmmlab.config.base import Spec
from scmmlab.config.data import TransferSpec
from scmmlab.config.experiment import ExperimentSpec
from scmmlab.config.problems import Problem, raise_problems, validate
from scmmlab.config.protocol import (
    HonestProtocol,
    LosoProtocol,
    ReleasedProtocol,
    UdaInductiveProtocol,
    UdaTransductiveProtocol,
    ZeroShotProtocol,
)

_PROTOCOLS: dict[str, type[Spec]] = {
    "honest": HonestProtocol,
    "loso": LosoProtocol,
    "zero_shot": ZeroShotProtocol,
    "uda_inductive": UdaInductiveProtocol,
    "uda_transductive": UdaTransductiveProtocol,
    "released": ReleasedProtocol,
}


def resolve_transfer(base: ExperimentSpec, transfer: TransferSpec, changes: Mapping[str, Any]) -> ExperimentSpec:
    """The experiment of a variant on a transfer: `base`, changed by the transfer, then by the variant's `changes`."""
    return resolve_variant(resolve_variant(base, transfer.set), changes)


def resolve_variant(base: ExperimentSpec, changes: Mapping[str, Any]) -> ExperimentSpec:
    """`base` with `changes`, checked.

    Parameters
    ----------
    base : ExperimentSpec
        The experiment that is changed.
    changes : mapping
        Dotted path → value, for example ``{"masking.ratio": 0.7}``. A mapping as value changes the keys that it
        names and leaves the rest: ``{"masking": {"mode": "none"}}`` is ``{"masking.mode": "none"}``. The order of
        changes has no meaning, and a path stands once.

        A change of ``protocol.kind`` replaces the protocol by one of that kind. What the base set is kept where both
        kinds have the field and mean the same by it (``subjects_per_fold``, ``trial_order``, ``finetune_trials``,
        ``finetune_share``; between the kinds without leaks also ``validation_share`` and ``epoch_selection``); all
        else is the new kind's default. A change of ``method`` likewise keeps what the two methods share, where the base
        has another value than its own method's default.

    Raises
    ------
    SpecError
        Where a path does not exist or a value is not one that it can have.
    """
    experiment, problems = try_variant(base, changes)
    raise_problems((problem, "the changes of a variant") for problem in problems)
    assert experiment is not None
    return experiment


def try_variant(base: ExperimentSpec, changes: Mapping[str, Any]) -> tuple[ExperimentSpec | None, list[Problem]]:
    """As `resolve_variant`, with problems handed back instead of raised."""
    tree, problems = _tree(changes)
    if problems:
        return None, problems
    data = base.model_dump(exclude_unset=True)
    try:
        kind = ExperimentSpec.narrowed({"method": base.method, **tree})
    except ValidationError:
        kind = type(base)  # said when it is validated
    if kind is not type(base):
        # a default of one method that is written out, as in a study's resolved file, is not said to another
        data = {
            name: value
            for name, value in data.items()
            if _means_the_same(name, type(base), kind) and getattr(base, name) != type(base).model_fields[name].default
        }
    data |= {"method": base.method, "protocol": _protocol(base, tree.get("protocol"))}
    try:
        _merge(data, kind.with_present_paths(tree))
    except ValidationError as error:
        return None, [Problem(tuple(map(str, one["loc"])), str(one["ctx"]["error"])) for one in error.errors()]
    experiment, problems = validate(ExperimentSpec, data)
    if experiment is not None:
        problems = [Problem(tuple(path.split(".")), message) for path, message in experiment.contradictions()]
    return (None, problems) if problems else (experiment, [])


def _means_the_same(field: str, one: type[Spec], other: type[Spec]) -> bool:
    """Whether two specs have a field of the same type."""
    return field in other.model_fields and other.model_fields[field].annotation == one.model_fields[field].annotation


def _tree(changes: Mapping[str, Any]) -> tuple[dict[str, Any], list[Problem]]:
    """Dotted paths as nested mappings."""
    tree: dict[str, Any] = {}
    problems: list[Problem] = []

    def place(path: tuple[str, ...], value: Any) -> None:
        if isinstance(value, Mapping) and value:
            for key, inner in value.items():
                place((*path, *str(key).split(".")), inner)
            return
        branch = tree
        for part in path[:-1]:
            branch = branch.setdefault(part, {})
            if not isinstance(branch, dict):
                break
        if not isinstance(branch, dict) or path[-1] in branch:
            problems.append(Problem(path, "it is changed twice"))
        else:
            branch[path[-1]] = value

    for path, value in changes.items():
        place(tuple(path.split(".")), value)
    return tree, problems


def _protocol(base: ExperimentSpec, changed: Any) -> dict[str, Any]:
    """The base's protocol, cut to what the kind that `changed` asks for has in common with it."""
    old = base.protocol
    kept = {"kind": old.kind, **old.model_dump(exclude_unset=True)}
    kind = changed.get("kind", old.kind) if isinstance(changed, Mapping) else old.kind
    if kind == old.kind or kind not in _PROTOCOLS:
        return kept
    return {name: value for name, value in kept.items() if _means_the_same(name, type(old), _PROTOCOLS[kind])}


def _merge(data: dict[str, Any], changes: Mapping[str, Any]) -> None:
    for key, value in changes.items():
        if isinstance(value, Mapping) and isinstance(data.get(key, {}), dict):
            _merge(data.setdefault(key, {}), value)
        else:
            data[key] = value
