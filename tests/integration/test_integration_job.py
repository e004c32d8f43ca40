"""`scmmlab run` through `ray job submit`, against a cluster that `ray start --head` started."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from comparing import csv, local_engine, run
from ray_head import SCMMLAB, RayHead, ray_head, wait_for
from tiny_study import ablation, plan_of

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
    wait_for(lambda: store.keys("pretrain"))
    stopped = head.job("stop", "first")
    assert stopped.returncode == 0, stopped.stdout + stopped.stderr
    finished = store.keys("cells")
    assert not study_status(plan, store).complete, "it was stopped too late to show anything"
    assert "what is finished is kept" in head.job("logs", "first").stdout.lower()

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
