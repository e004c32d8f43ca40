"""`scmmlab methods`: which methods are installed, and the settings of one."""

from __future__ import annotations

import argparse
import json
import textwrap
import types
from collections.abc import Iterator, Mapping
from typing import Any, Literal, Union, get_args, get_origin

WIDTH = 100
"""Of a line of a description."""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser of all commands."""
    parser = subparsers.add_parser(
        "methods",
        help="list installed methods, or the settings of one",
        description="List the methods that a study can name, built in or from other packages: version, package, "
        "stages, and what the rungs of a sweep count. With NAME, list its settings with defaults and meaning. Exit "
        "status 1 if a package that provides a method cannot be loaded.",
    )
    parser.add_argument("name", metavar="NAME", nargs="?", help="a method, e.g. linear")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.set_defaults(func=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the list, or the settings of one."""
    if arguments.name is not None:
        return _print_one(arguments.name, arguments.json)
    rows, broken = _listed()
    if arguments.json:
        print(json.dumps({"methods": rows, "broken": broken}, indent=2))
    else:
        print(_table(rows))
        for name, error in broken.items():
            print(f"\n{name}: {error}")
    return 1 if broken else 0


def _listed() -> tuple[list[dict[str, Any]], dict[str, str]]:
    """What there is to say of each method; and the names of those that cannot be loaded, with the reason."""
    from scmmlab.config.plugins import method_names
    from scmmlab.errors import ScmmlabError

    rows, broken = [], {}
    for name in method_names():
        try:
            rows.append(_facts(name))
        except ScmmlabError as error:
            broken[name] = str(error)
    return rows, broken


def _facts(name: str) -> dict[str, Any]:
    from importlib.metadata import entry_points

    from scmmlab.config.plugins import GROUP
    from scmmlab.methods.registry import method

    found = method(name)
    entry = next(iter(entry_points(group=GROUP, name=name)))
    package = f"{entry.dist.name} {entry.dist.version}" if entry.dist else entry.module
    return {
        "name": name,
        "version": found.version,
        "package": package,
        "stages": [*(["pretrain"] if "pretrain" in found.metrics else []), "finetune"],
        "rungs": found.budget,
        "runs_on": found.runs_on,
        "title": found.title,
    }


def _table(rows: list[dict[str, Any]]) -> str:
    head = ("method", "version", "package", "stages", "rungs of a sweep count", "what it is")
    lines: list[tuple[str, ...]] = [head]
    for row in rows:
        rungs = row["rungs"] or "none: judged once"
        lines.append((row["name"], row["version"], row["package"], ", ".join(row["stages"]), rungs, row["title"]))
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    lines.insert(1, tuple("-" * width for width in widths))
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)


def _print_one(name: str, as_json: bool) -> int:
    from scmmlab.config.plugins import method_names
    from scmmlab.config.problems import name_one_of
    from scmmlab.errors import SpecError
    from scmmlab.methods.registry import method

    if name not in method_names():
        raise SpecError(f"Invalid value for 'NAME': {name_one_of(name, method_names())}.")
    spec = method(name).spec
    facts, settings = _facts(name), dict(_settings(spec))
    if as_json:
        print(json.dumps({**facts, "settings": settings}, indent=2))
        return 0
    print(f"{name} {facts['version']} ({facts['package']}): {facts['title']}")
    for heading, shared in (("Its own settings:", False), ("Settings that all methods share:", True)):
        print(f"\n{heading}")
        for path, setting in settings.items():
            if setting["shared"] == shared:
                _print_setting(path, setting)
    return 0


def _print_setting(path: str, setting: Mapping[str, Any]) -> None:
    default = f" = {json.dumps(setting['default'])}" if "default" in setting else ""
    print(f"  {path}{default}    ({setting['takes']})")
    print(textwrap.fill(setting["description"], WIDTH, initial_indent="      ", subsequent_indent="      "))


def _settings(spec: Any, values: Any = None, before: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Dotted path → default, what it takes, what it means, and whether all methods have it; of a choice of groups, the
    default group's.
    """
    from pydantic import BaseModel

    from scmmlab.config import ExperimentSpec

    for name, field in spec.model_fields.items():
        path, required = f"{before}{name}", values is None and field.is_required()
        default = None if required else field.get_default() if values is None else getattr(values, name)
        if isinstance(default, BaseModel):
            groups = [each.model_fields for each in get_args(field.annotation) if hasattr(each, "model_fields")]
            for inner, setting in _settings(type(default), default, f"{path}."):
                if groups and inner == f"{path}.kind":
                    setting["takes"] = " | ".join(group["kind"].default for group in groups)
                yield inner, setting
            continue
        setting = {"takes": _takes(field.annotation), "description": field.description or ""}
        setting["shared"] = path.partition(".")[0] in ExperimentSpec.model_fields
        yield path, setting if required else {**setting, "default": default}


def _takes(annotation: Any) -> str:
    """`a | b`, `a whole number`, `text | null`."""
    words = {bool: "true | false", int: "a whole number", float: "a number", str: "text", type(None): "null"}
    if get_origin(annotation) is Literal:
        return " | ".join(str(value) for value in get_args(annotation))
    if get_origin(annotation) in (Union, types.UnionType):
        return " | ".join(map(_takes, get_args(annotation)))
    if hasattr(annotation, "__metadata__"):
        return _takes(get_args(annotation)[0])
    return words.get(annotation, str(getattr(annotation, "__name__", annotation)))
