"""Two drivers on one study, a driver that is killed, what status says meanwhile, and a store on S3: by commands."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

LONG = ["--set", "base.pretrain.epochs=100000", "--set", "resources.checkpoint_every=5"]


def start(study: Path, store: str, *more: str) -> subprocess.Popen[str]:
    """`scmmlab run` in a process of its own."""
    command = [sys.executable, "-m", "scmmlab.cli.main", "run", str(study), "--store", store, "--engine", "local"]
    return subprocess.Popen(
        [*command, "--tracking-uri", "none", *more],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )


def until(fact: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 120
    while not fact():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.2)


@pytest.mark.slow
@pytest.mark.parametrize("place", ["folder", "s3"])
def test_the_second_driver_ends_with_a_sentence_and_a_killed_one_is_lost_and_replaced(
    scmmlab, study, tmp_path: Path, place: str, request
) -> None:
    store = request.getfixturevalue("s3").uri(tmp_path.name) if place == "s3" else str(tmp_path / "runs")

    def status() -> str:
        return scmmlab("status", study, "--store", store, *LONG).out

    with start(study, store, *LONG) as first:
        try:
            until(lambda: "(pretrain, epoch " in status(), first)
            assert "A driver has held it since 2" in status()
            assert "running  full · a-to-b · 0" in status()
            second = scmmlab("run", study, "--store", store, "--engine", "local", "--tracking-uri", "none", *LONG)
            assert second.status == 2
            assert "is already running: another driver has held it since 2" in second.err
            assert f"scmmlab status {study} --store" in second.err
            assert "Traceback" not in second.err
        finally:
            first.kill()
    assert "The driver that started at 2" in status()
    assert "lost     full · a-to-b · 0  (pretrain, epoch " in status()
    assert " 0 running" not in status()

    # the same command goes on at once; interrupted in order, it leaves no claim
    with start(study, store, *LONG) as third:
        until(lambda: "A driver has held it since 2" in status(), third)
        third.send_signal(signal.SIGINT)
        assert third.wait(120) == 130
    assert "driver" not in status()
    assert "6 missing" in status()


@pytest.mark.slow
def test_a_study_on_s3_gives_the_bytes_of_one_in_a_folder(
    scmmlab, study, finished: Path, s3, tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    store = s3.uri("whole/study")
    assert scmmlab("report", study, "--store", store).status == 2
    done = scmmlab("run", study, "--engine", "local", "--store", store)
    assert done.status == 0, done.err
    assert "s3://results/whole/study/studies/tiny/report/report.html" in done.out
    assert "open-sesame" not in done.out + done.err
    assert scmmlab("status", study, "--store", store).out.startswith("6 cells: 6 finished, 0 failed, 0 missing")
    assert scmmlab("results", study, "--store", store).out == scmmlab("results", study, "--store", finished).out
    assert scmmlab("report", study, "--store", store, "--out", tmp_path / "report").status == 0
    assert (tmp_path / "report" / "report.html").is_file()
    from scmmlab.study.files import Files

    files = Files(store)
    (name, *_) = files.names("cells")
    files.write(f"cells/{name}", files.read(f"cells/{name}")[:-40])
    status = scmmlab("status", study, "--store", store)
    assert status.status == 1
    assert "5 finished, 0 failed, 1 missing" in status.out
    assert files.names("cells").count(f"{name}.damaged") == 1
    assert scmmlab("run", study, "--engine", "local", "--store", store, "--tracking-uri", "none").status == 0
    assert scmmlab("results", study, "--store", store).out == scmmlab("results", study, "--store", finished).out
