"""`scmmlab run` through `ray job submit`, against a cluster that `ray start --head` started."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml
from comparing import csv, local_engine, run
from ray_head import SCMMLAB, RayHead, ray_head, wait_for
from tiny_study import ablation, plan_of

from processes import process_of, told_by
from scmmlab.study import ResultStore, study_status

pytestmark = pytest.mark.slow

STOP_BY_INTERRUPT = {"RAY_JOB_STOP_SIGNAL": "SIGINT", "RAY_JOB_STOP_WAIT_TIME_S": "20"}


@pytest.fixture(scope="module")
def head() -> Iterator[RayHead]:
    with ray_head() as head:
        yield head


def submit(head: RayHead, name: str, study: Path, store: Path, *options: str) -> subprocess.CompletedProcess[str]:
    runtime = json.dumps({"env_vars": STOP_BY_INTERRUPT})
    program = f"{SCMMLAB} run {study} --store {store}"
    return head.job(
        "submit", "--submission-id", name, "--working-dir", ".", "--runtime-env-json", runtime, *options,
        "--", *program.split(),
    )  # fmt: skip


def test_study_is_stopped_as_a_job_and_goes_on_as_another(head, tmp_path):
    study = ablation(
        tmp_path, base={**ablation(tmp_path).base.model_dump(), "pretrain": {"epochs": 200, "batch_size": 32}}
    )
    study = study.model_copy(update={"resources": study.resources.model_copy(update={"pack_size": 1})})
    file = tmp_path / "study.yaml"
    file.write_text(yaml.safe_dump(study.model_dump(mode="json")))
    plan, store = plan_of(study), ResultStore(tmp_path / "store")

    submitted = submit(head, "first", file, tmp_path / "store", "--no-wait")
    assert submitted.returncode == 0, submitted.stdout + submitted.stderr
    wait_for(lambda: process_of("run", file))
    running = process_of("run", file)
    wait_for(lambda: store.keys("pretrain"))
    running.suspend()  # `ray job stop` takes longer to start than the study to end
    assert not study_status(plan, store).complete, "it was held up too late to show anything"
    with ThreadPoolExecutor() as pool:
        stopping = pool.submit(head.job, "stop", "first")
        wait_for(lambda: told_by(running, signal.SIGINT))
        running.resume()
        stopped = stopping.result()
    assert stopped.returncode == 0, stopped.stdout + stopped.stderr
    finished = store.keys("cells")
    assert not study_status(plan, store).complete
    assert "finished work is kept" in head.job("logs", "first").stdout.lower()

    again = submit(head, "second", file, tmp_path / "store")
    assert again.returncode == 0, again.stdout + again.stderr
    assert study_status(plan, store).complete
    assert finished <= store.keys("cells")

    lost = head.job("submit", "--submission-id", "third", "--working-dir", ".", "--", *f"{SCMMLAB} run {file}".split())
    assert lost.returncode == 1
    assert "'runs' would be in the job's copy of the working directory, which is deleted after it" in lost.stdout

    alone = ResultStore(tmp_path / "local")
    run(plan, alone, local_engine(plan))
    assert csv(plan, store) == csv(plan, alone)
