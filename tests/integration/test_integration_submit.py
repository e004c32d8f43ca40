"""`scmmlab submit`, `logs` and `stop` against a head with a dashboard and a token, over a tunnel that breaks."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from comparing import csv, local_engine, run
from forwarder import Forwarder
from ray_head import SCMMLAB, RayHead, ray_head, wait_for
from tiny_study import BASE, ablation, plan_of, write_tables

from processes import process_of, told_by
from scmmlab.study import ResultStore, study_status

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def head() -> Iterator[RayHead]:
    with ray_head() as head:
        yield head


@pytest.fixture
def tunnel(head) -> Iterator[Forwarder]:
    forwarder = Forwarder(head.port)
    yield forwarder
    forwarder.cut()


@pytest.fixture
def folder(tmp_path, head, monkeypatch) -> Path:
    """A working directory that is no checkout, with a study in it; the current folder."""
    here = tmp_path / "work"
    here.mkdir()
    monkeypatch.chdir(here)
    return here


def write_study(folder: Path, name: str, epochs: int) -> tuple[Path, object]:
    """A study file in the folder, and its plan; each pre-training takes so many epochs."""
    base = {**BASE, "pretrain": {"epochs": epochs, "batch_size": 32}}
    study = ablation(folder.parent / "tables", name=name, base=base, seeds=[0])
    study = study.model_copy(update={"resources": study.resources.model_copy(update={"pack_size": 1})})
    file = folder / f"{name}.yaml"
    file.write_text(yaml.safe_dump(study.model_dump(mode="json")))
    return file, plan_of(study)


class Command:
    """The command line in a process of its own, its output in files that can be read as they grow."""

    def __init__(self, head: RayHead, folder: Path, *arguments: object, address: str | None = None, **environment: str):
        count = len(list(folder.parent.glob("*.out")))
        self._out, self._err = (folder.parent / f"{count}.{kind}" for kind in ("out", "err"))
        with self._out.open("w") as out, self._err.open("w") as err:
            self.process = subprocess.Popen(
                [*SCMMLAB.split(), *map(str, arguments), "--address", address or head.address],
                cwd=folder, env=head.environment() | environment, stdout=out, stderr=err, stdin=subprocess.DEVNULL,
            )  # fmt: skip

    @property
    def out(self) -> str:
        return self._out.read_text()

    @property
    def err(self) -> str:
        return self._err.read_text()

    def saw(self, text: str) -> bool:
        assert self.process.poll() is None or text in self.out + self.err, self.out + self.err
        return text in self.out + self.err

    def wait(self) -> int:
        return self.process.wait(300)


def submit(head: RayHead, folder: Path, file: Path, store: Path, *options: object, **kwargs: object) -> Command:
    options = ("--store", store, "--program", SCMMLAB, "--tracking-uri", "none", *options)
    return Command(head, folder, "submit", file.name, *options, **kwargs)


def test_a_study_is_followed_over_a_broken_tunnel_attached_to_stopped_and_gone_on_with(head, tunnel, folder, tmp_path):
    file, plan = write_study(folder, "long", epochs=400)
    store = ResultStore(tmp_path / "store")
    there = f"http://127.0.0.1:{tunnel.port}"
    first = submit(head, folder, file, tmp_path / "store", "--engine", "local", address=there)
    wait_for(lambda: process_of("run", file.name, store.uri))
    running = process_of("run", file.name, store.uri)
    wait_for(lambda: store.keys("pretrain"))
    running.suspend()  # until it is told to stop: it is not over before that
    assert not study_status(plan, store).complete, "it was held up too late to show anything"
    wait_for(lambda: first.saw("cells done"))
    job = next(line.split()[1] for line in first.err.splitlines() if line.startswith("Job:"))
    assert f"#/jobs/{job}" in first.err
    assert f"{tmp_path}/store/studies/long/report/report.html" in first.err

    tunnel.cut()
    wait_for(lambda: first.saw("was lost; the job continues"))
    tunnel.open()
    wait_for(lambda: first.saw("Reconnected"))

    second = submit(head, folder, file, tmp_path / "store")
    changed = submit(head, folder, file, tmp_path / "store", "--set", "seeds=[7]")
    wait_for(lambda: second.saw("cells done"))
    assert f"already running: following job {job}" in second.err
    second.process.send_signal(signal.SIGINT)
    assert second.wait() == 130
    assert f"scmmlab logs {job} --address {head.address} --follow" in second.err
    assert f"scmmlab stop {job} --address {head.address}" in second.err

    assert changed.wait() == 2
    assert f"Another version of study 'long' is running in this store, as job {job}" in changed.err
    strangers = Command(head, folder, "stop", file.name, LOGNAME="somebody-else")
    assert strangers.wait() == 2
    assert f"The only running job of {file.name}, {job}, was submitted by " in strangers.err
    assert f"--yes, or scmmlab stop {job}, stops it anyway" in strangers.err
    assert first.process.poll() is None, "it was left alone"

    stopped = Command(head, folder, "stop", file.name, "--json")
    wait_for(lambda: told_by(running, signal.SIGINT))
    running.resume()
    assert stopped.wait() == 0, stopped.err
    assert json.loads(stopped.out)["status"] == "STOPPED"
    assert first.wait() == 130
    assert "finished work is kept" in first.out.lower()
    assert not study_status(plan, store).complete
    logs = Command(head, folder, "logs", "long")
    assert logs.wait() == 0
    assert first.out == logs.out, "each line of the log was shown once, in order"

    again = submit(head, folder, file, tmp_path / "store", "--json")
    assert again.wait() == 0, again.err
    told = json.loads(again.out)
    assert (told["status"], told["exit_status"], told["attached"]) == ("SUCCEEDED", 0, False)
    assert told["job"] == job.removesuffix("-1") + "-2"
    assert study_status(plan, store).complete
    alone = ResultStore(tmp_path / "alone")
    run(plan, alone, local_engine(plan))
    assert csv(plan, store) == csv(plan, alone)
    assert "INFO" not in first.err + again.err.partition("cells done")[2], "Ray's own chatter is no news"
    assert head.token not in first.out + first.err + again.out + again.err


def test_what_is_wrong_is_refused_before_anything_is_uploaded(head, folder, tmp_path):
    file, _ = write_study(folder, "refused", epochs=2)
    before = json.loads(_job_list(head))
    wrong = [
        (submit(head, folder, file, tmp_path, RAY_AUTH_TOKEN="f" * 64), "rejects the token in RAY_AUTH_TOKEN"),
        (
            submit(head, folder, file, tmp_path, RAY_AUTH_TOKEN="", HOME=str(tmp_path)),
            "requires its token, and there is none",
        ),
        (submit(head, folder, file, tmp_path, "--set", "base.pretrain.epochs=0"), "base.pretrain.epochs"),
    ]
    for command, said in wrong:
        assert command.wait() == 2, command.err
        assert said in command.err
        assert "Traceback" not in command.err
        assert command.err.count("\n") <= 2, "one sentence and a hint"
    assert json.loads(_job_list(head)) == before


def test_the_exit_status_is_that_of_the_study(head, folder, tmp_path):
    write_tables(tmp_path / "tables", unit=1e30)  # arithmetic overflows where they are not scaled
    file, _ = write_study(folder, "failing", epochs=2)
    options = ("--engine", "local", "--set", "base.scaling=none", "--detach", "--json")
    detached = submit(head, folder, file, tmp_path / "s", *options)
    nowhere = Command(
        head, folder, "submit", file.name, "--store", tmp_path / "t", "--program", "/nowhere/scmmlab", "--json"
    )
    assert detached.wait() == 0, detached.err
    assert json.loads(detached.out)["exit_status"] is None
    failing = Command(head, folder, "logs", json.loads(detached.out)["job"], "--follow")
    assert nowhere.wait() == 127
    assert "give its full path by --program" in nowhere.err
    assert failing.wait() == 1, failing.out + failing.err
    assert "failed: " in failing.out
    unknown = Command(head, folder, "logs", "failin")
    assert unknown.wait() == 2
    assert "did you mean 'failing'" in unknown.err


def _job_list(head: RayHead) -> str:
    done = subprocess.run(
        [sys.executable, "-c", _LIST, head.address], env=head.environment(), capture_output=True, text=True, check=True
    )
    return done.stdout


_LIST = """
import json, sys
from ray.job_submission import JobSubmissionClient
print(json.dumps(sorted(job.submission_id for job in JobSubmissionClient(sys.argv[1]).list_jobs())))
"""
