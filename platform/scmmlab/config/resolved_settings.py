"""The resolved settings of a site: each value and its source.

Precedence: command line  >  environment variable  >  site file  >  default.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel

from scmmlab.config.problems import Problem, raise_problems, show, validate
from scmmlab.config.site import SiteSpec
from scmmlab.config.yaml_lines import line_of
from scmmlab.config.yaml_text import parse_yaml, read_text
from scmmlab.errors import SpecError

FILE_VARIABLE = "SCMMLAB_SITE"
"""Names the site file."""

DEFAULT_STORE = "runs"

VARIABLES: Mapping[str, tuple[str, ...]] = {
    "store": ("SCMMLAB_STORE",),
    "tracking_uri": ("SCMMLAB_TRACKING_URI", "MLFLOW_TRACKING_URI"),
    "ray.address": ("SCMMLAB_RAY_ADDRESS", "RAY_API_SERVER_ADDRESS", "RAY_ADDRESS"),
    "ray.cluster": ("RAY_ADDRESS",),
    "ray.program": ("SCMMLAB_PROGRAM",),
    "ray.stop_wait_s": ("RAY_JOB_STOP_WAIT_TIME_S",),
    "ray.ca_file": ("SCMMLAB_CA_FILE",),
    "resources.workers": ("SCMMLAB_WORKERS",),
    "resources.gpus_per_worker": ("SCMMLAB_GPUS_PER_WORKER",),
    "resources.cpus_per_worker": ("SCMMLAB_CPUS_PER_WORKER",),
    "resources.pack_size": ("SCMMLAB_PACK_SIZE",),
}
"""Dotted path → environment variables that override the file; the first one that is set wins."""

_NUMBERS = ("ray.stop_wait_s", "resources.")


@dataclass(frozen=True)
class ResolvedSetting:
    """One resolved value."""

    path: str
    """Dotted path, as in the file."""
    value: Any
    """The value; None where nothing is set."""
    source: str
    """Its source, as shown to people: `site.yaml, line 3`, the name of a variable, `default`."""


@dataclass(frozen=True)
class Site:
    """A site's resolved settings, before any command-line option."""

    spec: SiteSpec
    """The values."""
    sources: Mapping[str, str]
    """Dotted path → source of the value; a path that is missing has its default."""

    def settings(self) -> Iterator[ResolvedSetting]:
        """Every value, in the order of the file."""
        for path, value in _leaves(self.spec):
            source = self.sources.get(path)
            if source is None and path == "store":
                value = DEFAULT_STORE
            yield ResolvedSetting(path, value, source or "default")

    def overrides(self) -> list[str]:
        """The site's settings of a study's resources, in the form of `--set`."""
        resources = self.spec.resources.model_dump(exclude_none=True)
        return [f"resources.{name}={value}" for name, value in resources.items()]


def load_site(path: str | os.PathLike[str] | None, environment: Mapping[str, str]) -> Site:
    """Read and check a site file, then apply the environment variables that override it.

    Parameters
    ----------
    path : path | None
        The site file. None: the file that ``SCMMLAB_SITE`` names, if any.
    environment : mapping
        Environment variables. An empty one counts as unset.

    Raises
    ------
    SpecError
        Names the file and line, or the variable, with what is allowed and what was given; all problems in one message.
    """
    named = path or environment.get(FILE_VARIABLE) or None
    data: dict[str, Any] = {}
    text = ""
    if named is not None:
        text = read_text(Path(named).expanduser(), "site file", f"{FILE_VARIABLE} names it" if path is None else None)
        parsed = parse_yaml(text, str(named))
        if parsed is not None and not isinstance(parsed, dict):
            raise SpecError(f"A site must be a mapping of keys to values, got {show(parsed)} in {named}.")
        data = parsed or {}

    def place(problem_path: tuple[str, ...]) -> str:
        line = line_of(text, problem_path) if text else None
        return f"{named}, line {line}" if line else str(named)

    spec, problems = validate(SiteSpec, data)
    problems += _passwords(data)
    raise_problems(((problem, place(problem.path)) for problem in problems), "site")
    assert spec is not None
    sources = {path: place(tuple(path.split("."))) for path, _ in _leaves(spec) if _stands_in(data, path)}

    for dotted, variables in VARIABLES.items():
        variable = next((name for name in variables if _counts(dotted, name, environment)), None)
        if variable is not None:
            _put(data, dotted, _value(dotted, environment[variable], variable))
            sources[dotted] = variable
    spec, problems = validate(SiteSpec, data)
    raise_problems(
        ((problem, f"the environment ({sources.get('.'.join(problem.path), '?')})") for problem in problems), "site"
    )
    assert spec is not None
    return Site(spec, sources)


def has_password(uri: str) -> bool:
    """Whether a URI contains a password or the secret key of an object store."""
    return "://" in uri and urlsplit(uri).password is not None


def _counts(dotted: str, variable: str, environment: Mapping[str, str]) -> bool:
    """Whether a variable is set and applies to this path: RAY_ADDRESS may name the dashboard (a URL) or the head."""
    value = environment.get(variable)
    if not value:
        return False
    if variable == "RAY_ADDRESS":
        return value.startswith(("http://", "https://")) == (dotted == "ray.address")
    return True


def _value(dotted: str, text: str, variable: str) -> Any:
    return parse_yaml(text, f"the environment ({variable})") if dotted.startswith(_NUMBERS) else text


def _passwords(data: Mapping[str, Any]) -> list[Problem]:
    """Everybody may read a site file, so it must not contain passwords."""
    found = []
    for name in ("store", "tracking_uri"):
        if isinstance(uri := data.get(name), str) and has_password(uri):
            (variable, *_) = VARIABLES[name]
            found.append(Problem((name,), f"it must not contain a password (set {variable} instead), got one"))
    return found


def _leaves(spec: BaseModel, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    for name in type(spec).model_fields:
        value = getattr(spec, name)
        if isinstance(value, BaseModel):
            yield from _leaves(value, (*path, name))
        elif isinstance(value, dict):
            for key, inner in value.items():
                if isinstance(inner, BaseModel):
                    yield from _leaves(inner, (*path, name, key))
                else:
                    yield ".".join((*path, name, key)), inner
        else:
            yield ".".join((*path, name)), value


def _stands_in(data: Any, dotted: str) -> bool:
    for key in dotted.split("."):
        if not isinstance(data, dict) or key not in data:
            return False
        data = data[key]
    return True


def _put(data: dict[str, Any], dotted: str, value: Any) -> None:
    *way, last = dotted.split(".")
    for key in way:
        if not isinstance(data.get(key), dict):
            data[key] = {}
        data = data[key]
    data[last] = value
