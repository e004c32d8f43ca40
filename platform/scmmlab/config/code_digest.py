"""Which code computes: a digest that changes with every statement of it, and with no comment, docstring or layout.

A key that knows of settings alone answers an edited loss with the results of before. So the code is part of what a
result is known by, unless its digest is one of those that are known to give the same results (`known_code.json`).
"""

from __future__ import annotations

import ast
import hashlib
import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

Scope = Literal["cells", "tables"]
_MOST_SHOWN = 5

NUMERICS_VERSION = "2"
"""Raised when a change of the code that computes changes results: what was stored before is then made again."""

KEYS_VERSION = 2
"""Raised when keys are made in another way: what was stored before has others."""

PACKAGE = Path(__file__).parents[1]
KNOWN = Path(__file__).with_name("known_code.json")
"""Scope → `known`: digests that are known to give the same results, newest last; `modules`: module → SHA-256 of its
bytes and digest of its statements, of the newest, so that only what was edited since needs to be parsed."""

SCOPES: Mapping[Scope, tuple[str, ...]] = {
    "cells": (
        "evaluation",
        "features/scaling",
        "methods",
        "replica",
        "study/requests",
        "tables/compatibility",
        "tables/feature_table",
        "tables/schema",
        "training",
    ),
    "tables": ("corpora", "features", "tables/extraction", "tables/feature_table", "tables/file_rows"),
}
"""Packages and modules that compute: the results of cells, and feature tables."""

COMPUTES_NOTHING: Mapping[str, str] = {
    "corpora/fakes": "makes corpora to rehearse with",
    "corpora/finding": "says what a check found",
    "evaluation/statistics": "is computed anew from the stored results by each report",
    "features/benchmark": "measures",
    "features/whole_process": "measures",
    "methods/bidann/golden": "compares numerics with golden vectors",
    "methods/classical/golden": "compares numerics with golden vectors",
    "methods/dgcnn/golden": "compares numerics with golden vectors",
    "methods/golden": "reads what numerics are verified against",
    "methods/network_golden": "compares numerics with golden vectors",
    "methods/rgnn/golden": "compares numerics with golden vectors",
    "methods/scmm/golden": "reads what numerics are verified against",
    "methods/scmm/verification": "compares numerics with golden vectors",
    "methods/verification": "finds whose golden vectors a file holds",
    "replica/kernel_stats": "counts what a step sends to the device",
    "training/failure_cause": "names what failed",
    "training/pack_probe": "measures how many replicas train at a time, which changes no result",
    "training/rates": "measures",
}
"""Modules within `SCOPES` that bear on no result, and why. A new module counts until it is named here."""


@dataclass(frozen=True)
class Code:
    """The code of a scope, as it is installed.

    Parameters
    ----------
    digest : str
        Of the statements of all its modules, 16 hexadecimal digits.
    known : bool
        Whether it is known to give the results of the released versions.
    edited : tuple of str
        Modules that differ from the newest known one, new and missing ones included.
    """

    digest: str
    known: bool
    edited: tuple[str, ...]


@cache
def installed_code(scope: Scope, package: Path = PACKAGE) -> Code:
    """The digest of the code that computes, and whether its results are known to be those of a released version.

    Parameters
    ----------
    scope : {"cells", "tables"}
        Results of cells, or feature tables.
    package : path
        The folder of the package.
    """
    book = json.loads(KNOWN.read_text(encoding="utf-8"))[scope]
    found = module_digests(scope, package, book["modules"])
    digest = _combined(found)
    newest: dict[str, list[str]] = book["modules"]
    edited = [name for name, (_, parsed) in found.items() if newest.get(name, ["", ""])[1] != parsed]
    gone = [name for name in newest if name not in found]
    return Code(digest, digest in book["known"], tuple(sorted(edited + gone)))


def edited_code(scope: Scope) -> str | None:
    """What is to be said where the code that computes is not known to give the released results; else None."""
    code = installed_code(scope)
    if code.known:
        return None
    shown = ", ".join(f"{name}.py" for name in code.edited[:_MOST_SHOWN])
    more = f" and {len(code.edited) - _MOST_SHOWN} more" if len(code.edited) > _MOST_SHOWN else ""
    what = "Results are stored under keys" if scope == "cells" else "Tables are built under identities"
    return f"The installed code is not a released one: {shown}{more} edited. {what} of their own (code {code.digest})."


def module_digests(
    scope: Scope, package: Path = PACKAGE, seen: Mapping[str, list[str]] | None = None
) -> dict[str, list[str]]:
    """Module → SHA-256 of its bytes, and digest of its statements.

    Parameters
    ----------
    scope : {"cells", "tables"}
        As for `installed_code`.
    package : path
        The folder of the package.
    seen : mapping | None
        What was found before: a module of the same bytes is not parsed again.
    """
    found = {}
    for name, path in _modules(scope, package):
        content = path.read_bytes()
        raw = hashlib.sha256(content).hexdigest()[:16]
        before = (seen or {}).get(name, ["", ""])
        found[name] = [raw, before[1] if before[0] == raw else statements_digest(content)]
    return found


@cache
def package_digest(package: str) -> str:
    """A digest of the statements of an installed package, or of a module that stands alone, by its name."""
    found = find_spec(package)
    assert found is not None, f"{package} is imported, so it is there"
    folders = [Path(each) for each in found.submodule_search_locations or ()]
    files = {path.relative_to(folder).as_posix(): path for folder in folders for path in sorted(folder.rglob("*.py"))}
    if not files and found.origin:
        files = {Path(found.origin).name: Path(found.origin)}
    return _combined({name: ["", statements_digest(path.read_bytes())] for name, path in files.items()})


def statements_digest(source: bytes) -> str:
    """A digest of what a module does: its syntax tree, without docstrings and without the names of local variables.

    Source that is no Python is told apart by its bytes.
    """
    digest = hashlib.sha256()
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        digest.update(source)
    else:
        digest.update(repr(_shape(tree, {})).encode())
    return digest.hexdigest()[:16]


def write_known_code() -> None:
    """Write down that the code as it is gives the results of the released versions (`make numerics` shows it first)."""
    book = json.loads(KNOWN.read_text(encoding="utf-8")) if KNOWN.is_file() else {}
    for scope in SCOPES:
        modules = module_digests(scope)
        known: list[str] = book.get(scope, {}).get("known", [])
        digest = _combined(modules)
        book[scope] = {"known": [*(one for one in known if one != digest), digest], "modules": modules}
    KNOWN.write_text(json.dumps(book, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def _combined(modules: Mapping[str, list[str]]) -> str:
    text = "".join(f"{name} {parsed}\n" for name, (_, parsed) in sorted(modules.items()))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _modules(scope: Scope, package: Path) -> Iterator[tuple[str, Path]]:
    for part in SCOPES[scope]:
        single = package / f"{part}.py"
        for path in [single] if single.is_file() else sorted((package / part).rglob("*.py")):
            name = path.relative_to(package).with_suffix("").as_posix()
            if not any(name == other or name.startswith(f"{other}/") for other in COMPUTES_NOTHING):
                yield name, path


def _shape(node: Any, names: Mapping[str, int]) -> Any:
    """A syntax tree as nested tuples that are the same in each version of Python: fields that are empty, and those
    that newer versions have beside, do not count.

    Parameters
    ----------
    node : ast.AST, list or constant
        The tree.
    names : mapping
        Local variables of the functions around it → the number that stands for each.
    """
    if isinstance(node, list):
        return tuple(_shape(each, names) for each in node)
    if not isinstance(node, ast.AST):
        # the type tells 1 from 1.0 and True
        return (type(node).__name__, repr(node))
    if isinstance(node, ast.Name):
        return ("Name", names.get(node.id, node.id))
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        first = max(names.values(), default=-1) + 1
        names = {**names, **{name: first + place for place, name in enumerate(_locals(node))}}
    fields = dict(ast.iter_fields(node))
    if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        fields["body"] = _without_docstring(node.body)
    return (
        type(node).__name__,
        *(
            (name, _shape(value, names))
            for name, value in fields.items()
            if value is not None and value != [] and name not in ("ctx", "kind", "type_comment")
        ),
    )


def _without_docstring(body: list[ast.stmt]) -> list[ast.stmt]:
    """Texts that stand alone do nothing, wherever they stand."""
    return [
        each
        for each in body
        if not (
            isinstance(each, ast.Expr) and isinstance(each.value, ast.Constant) and isinstance(each.value.value, str)
        )
    ]


def _locals(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    """Names that a function binds by itself, but for its parameters, in the order in which it first does."""
    bound: dict[str, None] = {}
    elsewhere = {argument.arg for argument in ast.walk(function.args) if isinstance(argument, ast.arg)}
    waiting: list[ast.AST] = list(reversed(function.body))
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Global | ast.Nonlocal):
            elsewhere.update(node.names)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            bound.setdefault(node.id)
        # what a function, a class or a lambda inside binds is its own affair
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            waiting.extend(reversed(list(ast.iter_child_nodes(node))))
    return [name for name in bound if name not in elsewhere]


if __name__ == "__main__":
    for each in SCOPES:
        print(edited_code(each) or f"{each}: code {installed_code(each).digest}, known")
    sys.exit(0 if all(installed_code(each).known for each in SCOPES) else 1)
