"""The digest of the code that computes changes with every statement, and with nothing else."""

from __future__ import annotations

import ast
import random
import shutil
from pathlib import Path

import pytest

from scmmlab.config.code_digest import (
    COMPUTES_NOTHING,
    PACKAGE,
    SCOPES,
    installed_code,
    module_digests,
    statements_digest,
)

MODULES = sorted({(scope, name) for scope in SCOPES for name in module_digests(scope)})
MUTANTS = 200
_OPERATORS = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.MatMult: ast.Mult}
_COMPARISONS = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.Is: ast.IsNot,
}


def mutated(node: ast.AST) -> bool:
    """Change a node in place; False where it is none of these."""
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        node.value = node.value + 1
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
        node.value = not node.value
    elif isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        node.op = _OPERATORS[type(node.op)]()
    elif isinstance(node, ast.Compare) and type(node.ops[0]) in _COMPARISONS:
        node.ops[0] = _COMPARISONS[type(node.ops[0])]()
    elif isinstance(node, ast.If | ast.IfExp):
        node.test = ast.UnaryOp(ast.Not(), node.test)
    elif isinstance(node, ast.FunctionDef) and len(node.body) > 2:
        del node.body[-2]
    else:
        return False
    return True


@pytest.fixture(scope="module")
def drawn() -> list[tuple[str, str, str]]:
    """Module, its source, and the source of a mutant: drawn from all modules."""
    rng = random.Random(0)
    pairs = []
    while len(pairs) < MUTANTS:
        _, name = rng.choice(MODULES)
        source = (PACKAGE / f"{name}.py").read_text(encoding="utf-8")
        tree = ast.parse(source)
        if mutated(rng.choice(list(ast.walk(tree)))):
            pairs.append((name, source, ast.unparse(ast.fix_missing_locations(tree))))
    return pairs


def test_200_mutants_of_modules_that_compute_all_change_the_digest(drawn):
    alive = [
        name
        for name, source, mutant in drawn
        if statements_digest(mutant.encode()) == statements_digest(source.encode())
    ]
    assert len({name for name, _, _ in drawn}) > 50
    assert not alive


@pytest.mark.parametrize(("scope", "name"), MODULES, ids=lambda value: str(value))
def test_another_layout_without_comments_and_docstrings_changes_nothing(scope, name):
    source = (PACKAGE / f"{name}.py").read_text(encoding="utf-8")
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Module) and ast.get_docstring(node):
            node.body[0] = ast.Expr(ast.Constant("Other words."))
    assert statements_digest(ast.unparse(tree).encode()) == statements_digest(source.encode())


BEFORE = b"""
def loss(z, scale):
    total = (z * scale).sum()
    mean = total / len(z)

    def inner(row):
        part = row - mean
        return part * total

    return [inner(row) for row in z]
"""


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        (b"total", b"sum_of_all", True),
        (b"part", b"difference", True),
        (b"scale", b"factor", False),  # a parameter can be given by its name
        (b"row - mean", b"row - total", False),
        (b"part * total", b"part * mean", False),
        (b"part * total", b"total * part", False),
        (b"sum()", b"sum(0)", False),
        (b"1", b"1", True),
    ],
)
def test_names_of_local_variables_do_not_count_but_what_they_stand_for_does(old, new, same):
    after = BEFORE.replace(old, new)
    assert (statements_digest(after) == statements_digest(BEFORE)) == same


def test_numbers_of_another_type_are_other_numbers():
    digests = {statements_digest(f"x = {text}".encode()) for text in ("1", "1.0", "True", "'1'", "b'1'", "-1", "1j")}
    assert len(digests) == 7


def test_each_module_of_a_scope_counts_or_is_named_with_a_reason():
    for name, why in COMPUTES_NOTHING.items():
        assert (PACKAGE / f"{name}.py").is_file() or (PACKAGE / name).is_dir(), name
        assert len(why) > 5
    cells = module_digests("cells")
    parts = ("methods/scmm/contrast", "methods/scmm/finetune_pack", "training/finetune_stage", "features/scaling")
    assert cells.keys() >= {*parts, "evaluation/metrics"}


def test_a_module_that_is_edited_new_or_gone_makes_the_code_another(tmp_path):
    package = tmp_path / "scmmlab"
    shutil.copytree(PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__", "shipped"))
    known = installed_code("cells", package)
    edits = {
        "methods/scmm/contrast": lambda path: path.write_text(
            path.read_text(encoding="utf-8") + "\nX = 1\n", encoding="utf-8"
        ),
        "methods/novel": lambda path: path.write_text("X = 1\n", encoding="utf-8"),
        "replica/schedule": lambda path: path.unlink(),
    }
    for name, edit in edits.items():
        path = package / f"{name}.py"
        before = path.read_bytes() if path.is_file() else None
        edit(path)
        installed_code.cache_clear()
        edited = installed_code("cells", package)
        assert edited.digest != known.digest
        assert edited.edited == (name,)
        assert not edited.known
        path.unlink(missing_ok=True) if before is None else path.write_bytes(before)
        installed_code.cache_clear()
        assert installed_code("cells", package) == known


def test_a_comment_makes_no_other_code(tmp_path: Path):
    package = tmp_path / "scmmlab"
    shutil.copytree(PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__", "shipped"))
    before = installed_code("cells", package)
    path = package / "methods/scmm/contrast.py"
    path.write_text("# a thought\n" + path.read_text(encoding="utf-8"), encoding="utf-8")
    installed_code.cache_clear()
    assert installed_code("cells", package) == before
