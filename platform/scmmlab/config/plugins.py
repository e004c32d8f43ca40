"""Installed methods: each is an entry point of the group `scmmlab.methods`, including our own."""

from __future__ import annotations

from functools import cache
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from typing import TYPE_CHECKING, Protocol

from scmmlab.errors import SpecError

if TYPE_CHECKING:
    from scmmlab.config.experiment import ExperimentSpec

GROUP = "scmmlab.methods"
DEFAULT_METHOD = "scmm"


class HasSpec(Protocol):
    """A method, as far as reading its settings goes; `methods.contract.Method` is the whole of it."""

    name: str
    spec: type[ExperimentSpec]
    budget: str | None


@cache
def _entries() -> dict[str, EntryPoint]:
    found: dict[str, EntryPoint] = {}
    for entry in entry_points(group=GROUP):
        other = found.setdefault(entry.name, entry)
        if other.value != entry.value:
            raise SpecError(
                f"Two installed packages provide a method '{entry.name}': {other.value} and {entry.value}.",
                hint="uninstall one of them, or have it use another name",
            )
    return found


def method_names() -> list[str]:
    """Names of the methods that are installed, ours first."""
    return sorted(_entries(), key=lambda name: (not _entries()[name].value.startswith("scmmlab."), name))


@cache
def find_method(name: str) -> HasSpec | None:
    """The method of that name; None where none is installed.

    Raises
    ------
    SpecError
        If its package cannot be imported, or brings something else.
    """
    entry = _entries().get(name)
    if entry is None:
        return None
    try:
        method: HasSpec = entry.load()
    except Exception as error:
        raise SpecError(
            f"The method '{name}' ({entry.value}) cannot be loaded: {type(error).__name__}: {error}.",
            hint="fix or uninstall the package that provides it",
        ) from error
    from scmmlab.config.experiment import ExperimentSpec

    spec = getattr(method, "spec", None)
    if getattr(method, "name", None) != name or not (isinstance(spec, type) and issubclass(spec, ExperimentSpec)):
        raise SpecError(
            f"The entry point '{name}' of {GROUP} must be a Method of that name whose spec extends ExperimentSpec, "
            f"found {type(method).__name__} {getattr(method, 'name', '')!r} with {spec!r} in {entry.value}."
        )
    if (said := spec.model_fields["method"].default) != name:
        raise SpecError(
            f"The spec of the method '{name}' ({entry.value}) must have the field `method: Literal[{name!r}] = "
            f"{name!r}`, found the default {said!r}."
        )
    return method


@cache
def modules_brought(name: str) -> tuple[str, ...]:
    """Top-level names of all that the package of a method brings, with those of its spec and of what loads its trainer;
    a method of ours brings none.
    """
    entry, method = _entries()[name], find_method(name)
    found = {entry.module, method.spec.__module__, getattr(method, "load", method).__module__} if method else set()
    if entry.dist is not None:
        found |= set((entry.dist.read_text("top_level.txt") or "").split())
        # of an installed package all files are listed; of an editable one, only what leads to them
        files = [file for file in entry.dist.files or () if file.suffix == ".py" and file.parts[0] != ".."]
        found |= {file.parts[0].removesuffix(".py") for file in files}
    tops = {module.partition(".")[0] for module in found if not module.startswith("__editable__")}
    return tuple(sorted(top for top in tops - {"scmmlab"} if find_spec(top)))
