"""`scmmlab run` through `ray job submit`, against a cluster that `ray start --head` started."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from comparing import csv, local_engine, run
from tiny_study import ablation, plan_of

from scmmlab.study import ResultStore, study_status

pytestmark = pytest.mark.slow

REPOSITORY = Path(__file__).parents[2]
RAY = Path(sys.executable).with_name("ray")
TOKEN = secrets.token_hex(32)
STOP_BY_INTERRUPT = {"RAY_JOB_STOP_SIGNAL": "SIGINT", "RAY_JOB_STOP_WAIT_TIME_S": "20"}


def environment() -> dict[str, str]:
    """Of the head and of those who speak with it: nothing of Ray's from outside, and a token that both know."""
    outside = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    return outside | {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": TOKEN}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """Address of the dashboard of a cluster of this machine, which is gone afterwards."""
    # the paths of Ray's sockets are to be short
    folder = tempfile.mkdtemp(prefix="ray-", dir="/tmp")
    dashboard = free_port()
    head = subprocess.Popen(
        [
            RAY, "start", "--head", "--block", "--num-cpus=2", f"--port={free_port()}",
            f"--dashboard-port={dashboard}", f"--ray-client-server-port={free_port()}",
            f"--dashboard-agent-listen-port={free_port()}", f"--object-store-memory={200 * 2**20}",
            f"--temp-dir={folder}", "--disable-usage-stats",
        ],
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    address = f"http://127.0.0.1:{dashboard}"
    try:
        wait_for(lambda: head.poll() is not None or job(address, "list").returncode == 0)
        assert head.poll() is None, "the head has ended"
        yield address
    finally:
        # with --block, the head takes its processes with it
        head.terminate()
        head.wait(60)
        shutil.rmtree(folder, ignore_errors=True)


def job(address: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [RAY, "job", *arguments[:1], "--address", address, *arguments[1:]],
        cwd=REPOSITORY,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=300,
    )


def submit(address: str, name: str, study: Path, store: Path, *options: str) -> subprocess.CompletedProcess[str]:
    runtime = json.dumps({"env_vars": STOP_BY_INTERRUPT})
    program = f"{sys.executable} -m scmmlab.cli.main run {study} --store {store}"
    return job(
        address, "submit", "--submission-id", name, "--working-dir", ".", "--runtime-env-json", runtime, *options,
        "--", *program.split(),
    )  # fmt: skip


def logs(address: str, name: str) -> str:
    return job(address, "logs", name).stdout


def wait_for(condition, seconds: float = 180) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.5)


def test_study_is_stopped_as_a_job_and_goes_on_as_another(cluster, tmp_path):
    study = ablation(
        tmp_path, base={**ablation(tmp_path).base.model_dump(), "pretrain": {"epochs": 200, "batch_size": 32}}
    )
    study = study.model_copy(update={"resources": study.resources.model_copy(update={"pack_size": 1})})
    file = tmp_path / "study.yaml"
    file.write_text(yaml.safe_dump(study.model_dump(mode="json")))
    plan, store = plan_of(study), ResultStore(tmp_path / "store")

    submitted = submit(cluster, "first", file, tmp_path / "store", "--no-wait")
    assert submitted.returncode == 0, submitted.stdout + submitted.stderr
    wait_for(lambda: store.keys("pretrain"))
    stopped = job(cluster, "stop", "first")
    assert stopped.returncode == 0, stopped.stdout + stopped.stderr
    finished = store.keys("cells")
    assert not study_status(plan, store).complete, "it was stopped too late to show anything"
    assert "what is finished is kept" in logs(cluster, "first").lower()

    again = submit(cluster, "second", file, tmp_path / "store")
    assert again.returncode == 0, again.stdout + again.stderr
    assert study_status(plan, store).complete
    assert finished <= store.keys("cells")

    alone = ResultStore(tmp_path / "local")
    run(plan, alone, local_engine(plan))
    assert csv(plan, store) == csv(plan, alone)
