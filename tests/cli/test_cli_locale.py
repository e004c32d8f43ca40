"""A locale without our letters ends no command: what is printed is replaced, and files are UTF-8 all the same."""

from __future__ import annotations

import ast
import io
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from scmmlab.cli.main import main

PLATFORM = Path(__file__).parents[2] / "platform" / "scmmlab"
ASCII = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
"""An environment in which Python has ASCII alone, for files, their names and what it prints."""


def in_ascii(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "scmmlab.cli.main", *map(str, arguments)],
        env=os.environ | ASCII | environment,
        capture_output=True,
        text=True,
        encoding="latin-1",
        timeout=300,
    )


@pytest.mark.parametrize(
    ("encoding", "mark", "better"),
    [("ascii", "+-", "^ better, v worse"), ("latin-1", "±", "^ better, v worse"), ("gbk", "±", "▲ better, ▼ worse")],
)
def test_letters_that_a_terminal_lacks_are_replaced_and_marks_stay_apart(
    study, finished, tmp_path, monkeypatch, encoding, mark, better
):
    store = shutil.copytree(finished, tmp_path / "store")
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding=encoding) for _ in range(2))
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    assert main(["run", str(study), "--engine", "local", "--store", str(store), "--tracking-uri", "none"]) == 0
    for stream in (out, err):
        stream.flush()
    table = out.buffer.getvalue().decode(encoding)  # type: ignore[attr-defined]
    assert f" {mark} " in table
    assert better in table
    assert "released #" in table
    assert "cells done" in err.buffer.getvalue().decode(encoding)  # type: ignore[attr-defined]


@pytest.mark.slow
def test_a_study_runs_in_ascii_and_its_report_reaches_mlflow(study, finished, tmp_path):
    store = shutil.copytree(finished, tmp_path / "store")
    text = study.read_text(encoding="utf-8").replace("Two variants", "Zwei größere Varianten · 中文")
    described = study.with_name("described.yaml")
    described.write_text(text, encoding="utf-8")
    done = in_ascii("run", described, "--engine", "local", "--store", store)
    assert done.returncode == 0, done.stderr
    assert "Tracking" not in done.stderr, done.stderr
    (tracked,) = store.glob("studies/tiny/mlflow-artifacts/*/artifacts/report/report.md")
    assert "Zwei größere Varianten · 中文" in tracked.read_text(encoding="utf-8")
    for command in ("status", "results", "report"):
        done = in_ascii(command, described, "--store", store, PYTHONIOENCODING="latin-1")
        assert done.returncode == 0, done.stderr


def test_a_file_name_that_libraries_would_take_for_different_files_is_refused(scmmlab, study, tmp_path):
    done = scmmlab("corpus", "show", "caf\udce9")
    assert (done.status, done.err.count("\n")) == (2, 2), done.err
    assert "Cannot use the file name 'caf\\udce9': it is not UTF-8 text." in done.err
    done = scmmlab("status", study, "--store", tmp_path / "l\udce4ufe")
    assert done.status == 2
    assert "l\\udce4ufe" in done.err
    elsewhere = study.with_name("elsewhere.yaml")
    elsewhere.write_text(study.read_text(encoding="utf-8").replace("table: a}", "table: größe}"), encoding="utf-8")
    for where in (("plan", elsewhere), ("status", study, "--store", tmp_path / "läufe")):
        refused = in_ascii(*where)
        assert (refused.returncode, refused.stderr.count("\n")) == (2, 2), refused.stderr
        assert "this program encodes file names as ascii, and UTF-8 is expected" in refused.stderr
        assert "PYTHONUTF8=1" in refused.stderr


# --- ruff's PLW1514 knows those files alone whose path it can tell to be one


def test_every_text_file_is_opened_with_its_encoding():
    assert not [call for path in sorted(PLATFORM.rglob("*.py")) for call in _without_encoding(path)]


def _without_encoding(path: Path) -> Iterator[str]:
    for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(call, ast.Call) or ast.unparse(call.func) == "tarfile.open":
            continue
        name = getattr(call.func, "attr", None) or getattr(call.func, "id", "")
        named = {keyword.arg: keyword.value for keyword in call.keywords}
        if "encoding" in named:
            continue
        modes = [value.value for value in (*call.args, named.get("mode")) if isinstance(value, ast.Constant)]
        as_text = any(isinstance(mode, str) and mode and set(mode) <= set("rwaxt+") for mode in modes)
        if (
            (name == "read_text" and not call.args)
            or (name == "write_text" and len(call.args) == 1)
            or (name in ("open", "fdopen", "NamedTemporaryFile") and as_text)
            or (name in ("run", "Popen", "check_output") and {"text", "universal_newlines"} & named.keys())
        ):
            yield f"{path.name}:{call.lineno}"
