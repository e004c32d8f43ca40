"""A run's temporary folder goes with it; what a killed one has left goes with the next run, and no other's does."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from scmmlab.doctor import Level
from scmmlab.doctor.disks import check_leftovers
from scmmlab.execution.own_folder import OwnFolder

RUN = """
import sys, tempfile
tempfile.tempdir = sys.argv[1]
from scmmlab.execution.own_folder import OwnFolder
with OwnFolder(sys.argv[2]) as folder:
    print(folder, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def temporary(tmp_path, monkeypatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def started(temporary: Path, kind: str) -> tuple[subprocess.Popen[str], Path]:
    command = [sys.executable, "-c", RUN, str(temporary), kind]
    run = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8")
    assert run.stdout is not None
    return run, Path(run.stdout.readline().strip())


def test_folders_of_killed_runs_are_cleared_and_those_of_others_are_left(temporary):
    (killed, left), (running, used) = (started(temporary, kind) for kind in ("train", "tune"))
    (left / "gang" / "checkpoint").mkdir(parents=True)
    of_another_version = temporary / "scmmlab-train-abcdefgh"
    of_another_version.mkdir()
    killed.kill()
    killed.wait()
    assert left.is_dir()
    finding = check_leftovers()
    assert finding.level is Level.WARN
    assert str(left) in finding.found
    assert str(of_another_version) in finding.found
    assert str(used) not in finding.found

    with OwnFolder("train") as mine:
        assert set(temporary.iterdir()) == {Path(mine), used, of_another_version}
        assert mine not in check_leftovers().found
    running.communicate("")
    assert set(temporary.iterdir()) == {of_another_version}
    of_another_version.rmdir()
    assert check_leftovers().level is Level.OK
