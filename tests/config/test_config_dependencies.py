"""What is declared is used, and what is used is declared."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import scmmlab

REPOSITORY = Path(__file__).parents[2]
PYDANTICS_OWN = {"annotated-types", "pydantic-core"}
"""Parts of pydantic, which pins their versions itself."""


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def used(declared: set[str]) -> set[str]:
    """Packages of others that are imported, as they are called where they are installed from."""
    names = set()
    for path in Path(scmmlab.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names.add(node.module.partition(".")[0])
    found = set()
    for name in names - set(sys.stdlib_module_names) - {"scmmlab"}:
        providers = {canonical(one) for one in packages_distributions().get(name, [name])}  # mlflow has two
        found |= providers & declared or providers
    return found


def test_what_is_declared_is_used_and_what_is_used_is_declared():
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = {canonical(re.match(r"[\w.-]+", line)[0]) for line in project["dependencies"]}
    # what compares our speed with another's is looked for where it is wanted (docs/benchmarks.md)
    assert used(declared) - PYDANTICS_OWN - {"torcheeg"} == declared


def test_every_dependency_is_capped():
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert [line for line in project["dependencies"] if ",<" not in line] == []
