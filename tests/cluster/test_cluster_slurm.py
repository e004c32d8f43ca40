"""The batch scripts on a real Slurm: cut by a time limit, requeued, ended; refused, stalled and cancelled."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
import yaml
from slurm_site import SlurmSite, slurm_root

from processes import process_of, told_by
from scmmlab.config import AblationSpec
from scmmlab.execution.grid.run import GridRun
from scmmlab.execution.local_engine import LocalEngine
from scmmlab.study import ResultStore, lease_holders, result_rows, rows_csv
from scmmlab.tables import read_table
from scmmlab.tracking import Tracker

sys.path.insert(0, str(Path(__file__).parents[1] / "execution"))
from tiny_study import BASE, ablation, plan_of

pytestmark = pytest.mark.slow

REPOSITORY = Path(__file__).parents[2]
STUDY_ON_RAY, STUDY_IN_PARTS = "cluster/slurm/study.sbatch", "cluster/slurm/array.sbatch"


@dataclass(frozen=True)
class Job:
    """A job of the site; `name` is its number, with that of the task in an array."""

    site: SlurmSite
    name: str

    def fact(self, name: str) -> str:
        """What Slurm says of it."""
        found = re.search(rf"\b{name}=(\S+)", self.site.run("scontrol", "show", "job", "--oneliner", self.name))
        assert found is not None, name
        return found[1]

    @property
    def said(self) -> str:
        log = Path(self.fact("StdOut"))
        return log.read_text(encoding="utf-8") if log.exists() else ""

    @property
    def ended(self) -> bool:
        return self.fact("JobState") not in ("PENDING", "RUNNING", "COMPLETING", "SUSPENDED")

    def until(self, condition: Callable[[], object], seconds: float = 300) -> None:
        """Wait for something to come to pass while the job is there."""
        end = time.monotonic() + seconds
        while not condition():
            if self.ended:
                assert condition(), f"{self.fact('JobState')}\n{self.said}"
                return
            assert time.monotonic() < end, f"{self.fact('JobState')}\n{self.said}\n{self.site.logs()}"
            time.sleep(0.3)


@pytest.fixture(scope="module")
def site() -> Iterator[SlurmSite]:
    root = slurm_root()
    if root is None:
        pytest.skip("Slurm is not here and cannot be fetched (apt-get install slurm-wlm munge): nothing is known of it")
    with SlurmSite(root) as site:
        yield site


def long_study(folder: Path, epochs: int = 250, **resources: object) -> AblationSpec:
    """Pre-trainings of some seconds each, one after the other."""
    base = BASE | {"pretrain": {"epochs": epochs, "batch_size": 32}}
    return ablation(folder, base=base, resources={"pack_size": 1, **resources})


def endless_study(folder: Path, **resources: object) -> AblationSpec:
    """One pre-training, and nothing that could be finished before it."""
    study = long_study(folder, epochs=100_000, **resources)
    return study.model_copy(update={"variants": {"full": study.variants["full"]}, "seeds": study.seeds[:1]})


def submit(
    site: SlurmSite, script: str, study: AblationSpec, folder: Path, *options: str, more: tuple[str, ...] = ()
) -> list[Job]:
    """Submit a script as its README says; the jobs, one for each task of an array."""
    file = folder / "study.yaml"
    file.write_text(yaml.safe_dump(study.model_dump(mode="json")))
    environment = {"STORE": str(folder / "runs"), "VENV": sys.prefix, "OBJECT_STORE_MB": "200"}
    words = ["sbatch", "--parsable", "--cpus-per-task=1", f"--output={folder}/%j.log", *options, script, file, *more]
    number = site.run(*words, environment=environment).strip()
    array = next((found for option in options if (found := re.fullmatch(r"--array=(\d+)-(\d+)", option))), None)
    tasks = range(int(array[1]), int(array[2]) + 1) if array else []
    return [Job(site, f"{number}_{task}") for task in tasks] or [Job(site, number)]


def csv(study: AblationSpec, store: ResultStore) -> str:
    return rows_csv(result_rows(study.name, plan_of(study).cells, store.get_cell))


def undisturbed(study: AblationSpec, folder: Path) -> str:
    """Its results in this process, in one go."""
    plan, store = plan_of(study), ResultStore(folder / "undisturbed")
    tables = cache(read_table)
    assert GridRun(plan, store, LocalEngine(study.resources, tables), tables, Tracker()).run().complete
    return csv(study, store)


def begun(study: AblationSpec, store: ResultStore) -> bool:
    """Whether a driver trains: an epoch has ended."""
    there, _ = lease_holders(store.study_folder(study.name))
    return any("epoch" in progress for seen in there for progress in seen.claim.active_cells.values())


@contextmanager
def held_up(job: Job, folder: Path, store: ResultStore, *part: str) -> Iterator[Callable[[], bool]]:
    """A study that waits as soon as an encoder is there; whether it has been told to end, which it hears afterwards."""
    words = ("run", folder / "study.yaml", *part)
    job.until(lambda: process_of(*words))
    process = process_of(*words)
    assert process is not None
    job.until(lambda: store.keys("pretrain"))
    process.suspend()
    yield lambda: told_by(process, signal.SIGTERM)
    process.resume()


def eventually(condition: Callable[[], object]) -> bool:
    """Wait for what comes soon after a job's state."""
    end = time.monotonic() + 60
    while not condition() and time.monotonic() < end:
        time.sleep(0.3)
    return bool(condition())


def left_behind(job: Job) -> list[Path]:
    return list(Path("/tmp").glob(f"scmmlab-{job.fact('JobId')}-*"))


def test_studies_that_are_cut_end_in_their_requeued_jobs_with_the_tables_of_an_undisturbed_run(site, tmp_path):
    # of the same tables, so that one undisturbed run stands for both
    study, study_on_ray = long_study(tmp_path), long_study(tmp_path, workers=2)
    parts, on_ray = tmp_path / "parts", tmp_path / "on-ray"
    parts.mkdir()
    on_ray.mkdir()
    store, store_on_ray = ResultStore(parts / "runs"), ResultStore(on_ray / "runs")

    first, second = submit(site, STUDY_IN_PARTS, study, parts, "--array=1-2", "--time=60")
    with held_up(first, parts, store, "1/2") as told:
        # in parts: Slurm cuts the first by its time limit. It looks at limits twice a minute, and what is left from the
        # warning to the end is enough for what is done meanwhile
        minutes = int(first.fact("RunTime").split(":")[1])
        site.run("scontrol", "update", f"JobId={first.name}", f"TimeLimit={minutes + 4}")

        # on Ray, on both nodes: cut by the same signal at once
        (job,) = submit(site, STUDY_ON_RAY, study_on_ray, on_ray, "--nodes=2")
        with held_up(job, on_ray, store_on_ray) as told_on_ray:
            finished = store_on_ray.keys("pretrain")
            assert len(finished) < len(plan_of(study_on_ray).pretraining), "it was held up too late to show anything"
            tokens = [path / "token" for path in left_behind(job)]
            assert [oct(path.stat().st_mode & 0o777) for path in tokens] == ["0o600"]
            assert [oct(path.parent.stat().st_mode & 0o777) for path in tokens] == ["0o700"]
            site.run("scancel", "--batch", "--signal=USR1", job.name)
            job.until(told_on_ray)
        first.until(told)
    first.until(lambda: first.fact("Restarts") == "1")
    # the next one would be warned of it as soon as it starts
    site.run("scontrol", "update", f"JobId={first.name}", "TimeLimit=60")
    job.until(lambda: job.fact("Restarts") == "1")
    assert "The time limit is near, and the study not complete: requeued" in job.said
    assert eventually(lambda: left_behind(job) == [])

    expected = undisturbed(study, tmp_path)
    for each, its_study, its_store in (
        (first, study, store),
        (second, study, store),
        (job, study_on_ray, store_on_ray),
    ):
        each.until(lambda each=each: each.ended)
        assert each.fact("JobState") == "COMPLETED", each.said
        assert eventually(lambda each=each: left_behind(each) == [])
        assert csv(its_study, its_store) == expected
    assert [int(each.fact("Restarts")) for each in (first, second, job)] == [1, 0, 1]
    assert finished <= store_on_ray.keys("pretrain")
    assert sum("Report: " in each.said for each in (first, second)) == 1, "the last part writes it"


@pytest.mark.parametrize(("refusals", "said"), [(3, ""), (1000, "left behind")])
def test_a_folder_that_is_still_written_to_does_not_end_a_job(tmp_path, refusals, said):
    folder = tmp_path / "scmmlab-1"
    folder.mkdir()
    script = f"""
        set -euo pipefail
        source cluster/slurm/job.sh
        rm() {{ ((++times > {refusals})) && command rm "$@"; }}   # as it refuses while somebody writes there
        sleep() {{ :; }}
        times=0
        remove "$1"
        echo goes on
    """
    done = subprocess.run(["bash", "-c", script, "-", folder], cwd=REPOSITORY, capture_output=True, text=True)
    assert done.stdout.endswith("goes on\n"), done.stderr
    assert said in done.stdout
    assert folder.exists() == bool(said)


@pytest.mark.parametrize(
    ("status", "warned", "kept", "ends_with", "said"),
    [
        (75, "", "Last later", 0, "is held by others, and the study not complete: requeued, for the 3. time."),
        (75, "limit", "Last later", 0, "requeued"),
        (75, "", "Last", 75, "Not requeued: the study kept no result and no checkpoint since the job's start."),
        (75, "cancelled", "Last later", 75, ""),
        (130, "limit", "Last later", 0, "The time limit is near, and the study not complete: requeued"),
        (130, "limit", "Last", 1, "Not requeued: the study kept no result and no checkpoint within the job's time"),
        (130, "cancelled", "Last later", 130, ""),
        (2, "limit", "Last later", 2, ""),
        (1, "", "Last later", 1, ""),
        (0, "", "Last later", 0, ""),
    ],
)
def test_what_can_be_tried_again_is_requeued_and_wrong_input_is_not(status, warned, kept, ends_with, said):
    script = f"""
        set -euo pipefail
        source cluster/slurm/job.sh
        let_go() {{ :; }}
        last_kept() {{ echo "{kept}"; }}
        scontrol() {{ echo "scontrol $*"; }}
        status={status} warned={warned} before=Last REQUEUES=3 SLURM_JOB_ID=4711 SLURM_RESTART_COUNT=2
        end
    """
    done = subprocess.run(["bash", "-c", script], cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == ends_with, done.stderr
    assert said in done.stdout
    assert ("scontrol requeue 4711" in done.stdout) == ("requeued, for" in done.stdout)
    assert bool(done.stdout) == bool(said)


def test_bad_input_is_told_before_anything_starts_and_not_requeued(site, tmp_path):
    study, typo = long_study(tmp_path), ("--set", "base.pretrain.epoch=3")
    jobs = {
        "Unknown key 'base.pretrain.epoch'": submit(site, STUDY_ON_RAY, study, tmp_path, more=typo),
        "The array must be 1-N": submit(site, STUDY_IN_PARTS, study, tmp_path, "--array=2-3"),
        "'tiny' cannot be divided into 7 parts": submit(site, STUDY_IN_PARTS, study, tmp_path, "--array=1-7"),
    }
    for sentence, refused in jobs.items():
        for job in refused:
            job.until(lambda job=job: job.ended)
            assert (job.fact("ExitCode"), job.fact("Restarts")) == ("2:0", "0"), job.said
            assert sentence in job.said
            assert eventually(lambda job=job: left_behind(job) == [])
    assert not (tmp_path / "runs").exists()


def test_a_study_that_keeps_nothing_until_its_limit_is_not_requeued(site, tmp_path):
    study = endless_study(tmp_path, checkpoint_every=100_000)
    store = ResultStore(tmp_path / "runs")
    (job,) = submit(site, STUDY_IN_PARTS, study, tmp_path)
    job.until(lambda: begun(study, store))
    site.run("scancel", "--batch", "--signal=USR1", job.name)
    job.until(lambda: job.ended)
    assert (job.fact("JobState"), job.fact("ExitCode"), job.fact("Restarts")) == ("FAILED", "1:0", "0")
    assert "Not requeued: the study kept no result and no checkpoint within the job's time limit." in job.said
    assert store.study_folder(study.name).claims().seen() == {}, "it ended in order"


def test_a_cancelled_study_ends_in_order_and_is_not_requeued(site, tmp_path):
    study = endless_study(tmp_path)
    store = ResultStore(tmp_path / "runs")
    (job,) = submit(site, STUDY_IN_PARTS, study, tmp_path)
    job.until(lambda: store.last_checkpoint("pretrain"))
    site.run("scancel", job.name)
    job.until(lambda: job.ended)
    assert (job.fact("JobState"), job.fact("Restarts")) == ("CANCELLED", "0")
    assert eventually(lambda: store.study_folder(study.name).claims().seen() == {})
    assert eventually(lambda: left_behind(job) == [])
