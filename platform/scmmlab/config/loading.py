"""Read a study file and check it: every mistake is reported before anything starts."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from scmmlab.config.experiment import ExperimentSpec, tell_of_move
from scmmlab.config.overrides import apply_override
from scmmlab.config.plugins import find_method, method_names
from scmmlab.config.problems import Problem, name_one_of, raise_problems, show, validate
from scmmlab.config.study import AblationSpec, StudySpec, SweepSpec
from scmmlab.config.sweep_checks import point_problems, space_problems, sweep_problems
from scmmlab.config.variants import try_variant
from scmmlab.config.yaml_text import dump_yaml, parse_yaml, read_text
from scmmlab.errors import SpecError

_KINDS: dict[str, type[AblationSpec] | type[SweepSpec]] = {"ablation": AblationSpec, "sweep": SweepSpec}


@dataclass(frozen=True)
class LoadedStudy:
    """A study and the file that it came from."""

    study: AblationSpec | SweepSpec
    """The study, overrides applied, relative tables made absolute."""
    path: Path
    """The file."""
    text: str
    """The file's text as it stands."""


Override = str | tuple[str, Any]
"""`path=value`, or a dotted path and a plain value."""


def load_study(path: str | os.PathLike[str], overrides: Sequence[Override] = ()) -> LoadedStudy:
    """Read and check a study file.

    Parameters
    ----------
    path : path
        A YAML file, for example ``ablations/demo.yaml``.
    overrides : sequence of str or tuple
        ``path=value`` each, for example ``base.finetune.epochs=5`` or ``seeds=[0]``, or a path and a value; applied in
        order.

    Returns
    -------
    LoadedStudy
        Its variants (or the ends of its search space) have all been resolved once, so each of them is a valid
        experiment. A relative ``table:`` is taken from the folder of the file, in an override from the current folder.

    Raises
    ------
    SpecError
        Names the file, the dotted path, what is allowed and what was given; all problems of the file in one message.
    """
    path = Path(path)
    text = read_text(path)
    data = parse_yaml(text, str(path))
    if not isinstance(data, dict):
        raise SpecError(f"A study must be a mapping of keys to values, got {show(data)} in {path}.")
    return LoadedStudy(_study(data, str(path), path.parent, overrides), path, text)


def study_from_values(values: Mapping[str, Any], overrides: Sequence[Override] = ()) -> AblationSpec | SweepSpec:
    """Check a study given as plain values, in any form that a file may have.

    Parameters
    ----------
    values : mapping
        The content of a study file; not modified. Relative paths are taken from the current folder.
    overrides : sequence of str or tuple
        As for `load_study`.

    Raises
    ------
    SpecError
        As from `load_study`.
    """
    return _study(deepcopy(dict(values)), "the values given", Path.cwd(), overrides)


def _study(data: dict[str, Any], source: str, folder: Path, overrides: Sequence[Override]) -> AblationSpec | SweepSpec:
    """The study in `data`, which is modified; errors name `source`, and relative paths start at `folder`."""
    files = {"": source, "space": source}
    _to_long_form(data, folder, files)
    overridden: list[str] = []
    for override in overrides:
        overridden.append(apply_override(data, override))
        _to_long_form(data, Path.cwd(), files)

    def where(problem: Problem) -> str:
        dotted = f"{'.'.join(problem.path)}."
        # an unknown key may stand on the way to what was changed
        if any(dotted.startswith(f"{p}.") or (problem.unknown and f"{p}.".startswith(dotted)) for p in overridden):
            return f"{source} (changed by --set)"
        return files["space"] if problem.path[:1] == ("space",) else files[""]

    study, problems = _check(data)
    raise_problems((problem, where(problem)) for problem in problems)
    assert study is not None
    return study


def study_yaml(study: AblationSpec | SweepSpec) -> str:
    """`study` as the text of a study file, with every default written out."""
    return dump_yaml(study.model_dump(mode="json"))


def json_schema() -> dict[str, Any]:
    """The JSON schema of study files, including short forms: for editors and as documentation."""
    schema = TypeAdapter(StudySpec).json_schema()
    definitions = schema["$defs"]
    variants = definitions["AblationSpec"]["properties"]["variants"]
    (pattern, long_form), *_ = variants.get("patternProperties", {"^.*$": variants.get("additionalProperties")}).items()
    changes = definitions["VariantSpec"]["properties"]["set"]
    variants["patternProperties"] = {pattern: {"anyOf": [long_form, changes, {"type": "null"}]}}
    definitions["ExperimentSpec"] = {"anyOf": _experiment_schemas(definitions)}
    space = definitions["SweepSpec"]["properties"]["space"]
    description = "A YAML file of dotted path → what it may be, relative to this one."
    definitions["SweepSpec"]["properties"]["space"] = {"anyOf": [space, {"type": "string", "description": description}]}
    return schema


def _experiment_schemas(definitions: dict[str, Any]) -> list[dict[str, Any]]:
    """A schema for each installed method; their own definitions are added to `definitions`."""
    schemas = []
    for name in method_names():
        found = find_method(name)
        assert found is not None, f"{name} is listed"
        schema = found.spec.model_json_schema()
        definitions |= schema.pop("$defs", {})
        schemas.append(schema)
    return schemas


# --- the forms that a file may have, made one ------------------------------------------------------------------------


def _to_long_form(data: dict[str, Any], folder: Path, files: dict[str, str]) -> None:
    """Expand the short forms of a study file; long forms stay as they are."""
    variants = data.get("variants")
    if isinstance(variants, dict):
        for name, variant in variants.items():
            variants[name] = _long_variant(variant)
    if isinstance(data.get("space"), str):
        data["space"] = _read_space(folder / data["space"], files)
    _to_present_paths(data)
    for selection in _selections(data):
        selection["table"] = _absolute(selection["table"], folder)


def _to_present_paths(data: dict[str, Any]) -> None:
    """Replace the former paths of moved settings, in a search space and its points, by their current ones."""
    former = _experiment_type(data).FORMER_PATHS

    def present(values: object) -> object:
        if not isinstance(values, dict):
            return values
        for old in former.keys() & values.keys():
            tell_of_move(old, former[old])
        return {former.get(path, path): value for path, value in values.items()}

    if isinstance(data.get("space"), dict):
        data["space"] = present(data["space"])
        for domain in data["space"].values():
            if isinstance(domain, dict) and "when" in domain:
                domain["when"] = present(domain["when"])
    if isinstance(data.get("points"), list):
        data["points"] = [present(point) for point in data["points"]]


def _experiment_type(data: Mapping[str, Any]) -> type[ExperimentSpec]:
    """The class that the base of a study is read as."""
    try:
        return ExperimentSpec.narrowed(data.get("base", {}))
    except ValidationError:  # said when the study is validated
        return ExperimentSpec


def _long_variant(variant: object) -> object:
    """`{aggregator.enabled: false}` and nothing at all as `{set: …}`."""
    if variant is None:
        return {}
    if isinstance(variant, dict) and not variant.keys() & {"set", "description"}:
        return {"set": variant}
    if isinstance(variant, dict) and variant.get("set", ...) is None:
        return {**variant, "set": {}}
    return variant


def _read_space(path: Path, files: dict[str, str]) -> object:
    """The space of a file that contains nothing else, or that is a sweep itself."""
    files["space"] = str(path)
    space = parse_yaml(read_text(path), str(path))
    if isinstance(space, dict) and "space" in space:
        space = space["space"]
    if not isinstance(space, dict):
        raise SpecError(f"A search space must be a mapping of dotted paths to ranges, got {show(space)} in {path}.")
    return space


def _selections(data: dict[str, Any]) -> Iterator[dict[str, Any]]:
    transfers = data.get("transfers")
    for transfer in transfers if isinstance(transfers, list) else []:
        for side in ("source", "target"):
            selection = transfer.get(side) if isinstance(transfer, dict) else None
            if isinstance(selection, dict) and isinstance(selection.get("table"), str):
                yield selection


def _absolute(table: str, folder: Path) -> str:
    if not table or table.startswith("shipped:") or "://" in table:
        return table
    return str((folder / Path(table).expanduser()).resolve())


# --- the checks ------------------------------------------------------------------------------------------------------


def _check(data: dict[str, Any]) -> tuple[AblationSpec | SweepSpec | None, list[Problem]]:
    kind = data.get("kind")
    if not isinstance(kind, str) or kind not in _KINDS:
        if "kind" not in data:
            return None, [Problem(("kind",), f"it is missing, and must be one of {', '.join(map(repr, _KINDS))}")]
        return None, [Problem(("kind",), name_one_of(str(kind), _KINDS))]
    study, problems = validate(_KINDS[kind], data)
    problems = [_with_base_hint(problem, _experiment_type(data)) for problem in problems]
    base, _ = validate(ExperimentSpec, data.get("base", {}))
    if base is not None:
        unreadable = {problem.path[1] for problem in problems if problem.path[:1] == ("space",) and problem.path[1:]}
        if kind == "ablation":
            problems += [
                problem for one in _transfer_bases(base, data, problems) for problem in _variant_problems(one, data)
            ]
        else:
            problems += space_problems(base, data.get("space"), unreadable)
    if isinstance(study, SweepSpec):
        problems += sweep_problems(study)
        if not any(problem.path[:1] == ("space",) for problem in problems):
            problems += point_problems(study)
    return (None, problems) if problems else (study, [])


def _with_base_hint(problem: Problem, experiment: type[ExperimentSpec]) -> Problem:
    """Say that a part of the experiment at the top of the file belongs under `base`."""
    if problem.unknown and len(problem.path) == 1 and problem.path[0] in experiment.model_fields:
        return Problem(problem.path, f"it belongs beneath 'base': did you mean 'base.{problem.path[0]}'?", unknown=True)
    return problem


def _transfer_bases(base: ExperimentSpec, data: dict[str, Any], problems: list[Problem]) -> list[ExperimentSpec]:
    """The base, and the base as each transfer changes it; problems of the changes are added to `problems`."""
    bases = [base]
    transfers = data.get("transfers")
    for index, transfer in enumerate(transfers if isinstance(transfers, list) else ()):
        changes = transfer.get("set") if isinstance(transfer, dict) else None
        if not isinstance(changes, dict) or not changes:
            continue
        changed, found = try_variant(base, changes)
        if changed is not None and changed.protocol.kind != base.protocol.kind:
            message = f"a transfer keeps the base's {show(base.protocol.kind)}, got {show(changed.protocol.kind)}"
            changed, found = None, [Problem(("protocol", "kind"), message)]
        problems += [problem.beneath("transfers", str(index), "set") for problem in found]
        bases += [] if changed is None else [changed]
    return bases


def _variant_problems(base: ExperimentSpec, data: dict[str, Any]) -> list[Problem]:
    problems = []
    variants = data.get("variants")
    for name, variant in variants.items() if isinstance(variants, dict) else ():
        changes = variant.get("set", {}) if isinstance(variant, dict) else {}
        if isinstance(changes, dict):
            problems += [p.beneath("variants", name) for p in try_variant(base, changes)[1]]
    return problems
