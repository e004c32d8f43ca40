"""`import scmmlab` costs nothing, its names are there when asked for, and the package says that it is typed."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from importlib import resources
from pathlib import Path

import pytest

import scmmlab
from scmmlab.cli.main import COMMANDS

ROOT = Path(__file__).parents[2]


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, timeout=120)


def test_importing_it_imports_nothing_else() -> None:
    # what the interpreter itself imports at its start may be anything
    program = "import sys; before = set(sys.modules); import scmmlab; print(*sorted(set(sys.modules) - before))"
    done = python("-c", program)
    assert done.returncode == 0, done.stderr
    imported = set(done.stdout.split())
    assert "scmmlab" in imported
    assert {name for name in imported if name.startswith("scmmlab.")} == set()
    others = {name.partition(".")[0] for name in imported} - {"scmmlab"}
    assert others <= set(sys.stdlib_module_names)


@pytest.mark.parametrize("name", ["Study", "Table"])
def test_a_name_imports_no_engine_no_tracker_and_no_pandas(name: str) -> None:
    program = f"import sys, scmmlab; scmmlab.{name}; print(*sys.modules)"
    done = python("-c", program)
    assert done.returncode == 0, done.stderr
    heavy = {"ray", "mlflow", "optuna", "pandas", "matplotlib", "mne"} | ({"torch"} if name == "Table" else set())
    assert heavy & set(done.stdout.split()) == set()


def test_its_names_are_those_of_the_api_and_others_are_refused() -> None:
    for name in scmmlab.__all__:
        assert name in dir(scmmlab)
        assert getattr(scmmlab, name) is getattr(scmmlab, name)
    assert scmmlab.open_study == scmmlab.Study.open
    assert scmmlab.read_table == scmmlab.Table.open
    with pytest.raises(AttributeError, match="module 'scmmlab' has no attribute 'Stduy'"):
        _ = scmmlab.Stduy


def test_it_is_typed_where_it_is_installed() -> None:
    assert (resources.files("scmmlab") / "py.typed").is_file()
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert "py.typed" in settings["tool"]["setuptools"]["package-data"]["scmmlab"]


def test_python_m_scmmlab_is_the_command_line() -> None:
    done = python("-m", "scmmlab", "--help")
    assert done.returncode == 0
    assert "usage: scmmlab " in done.stdout
    assert all(command in done.stdout for commands in COMMANDS.values() for command in commands)
    wrong = python("-m", "scmmlab", "plan", "there-is-none.yaml")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert wrong.stderr.startswith("scmmlab: There is no file there-is-none.yaml.")
