"""What `scmmlab submit` sends, and what it refuses before it speaks with a cluster."""

from __future__ import annotations

import io
import json
import shlex
import socket
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path, PurePosixPath

import pytest

from scmmlab.config import load_study
from scmmlab.execution.jobs.left_behind import ALWAYS, DATA
from scmmlab.execution.jobs.log_view import PROGRESS, LogView
from scmmlab.execution.jobs.past_jobs import why_not_ours
from scmmlab.execution.jobs.study_job import StudyJob
from scmmlab.execution.jobs.working_directory import look_into
from scmmlab.execution.progress import Progress
from scmmlab.execution.ray.private import package_limit

ROOT = Path(__file__).parents[2]
STUDY = """
kind: ablation
name: mine
base: {protocol: {kind: loso, subjects_per_fold: 3}}
variants: {full: {}, no_masking: {masking.mode: none}}
transfers:
  - name: halves
    source: {table: "shipped:eegmat", subjects: 0-17}
    target: {table: "shipped:eegmat", subjects: 18-35}
"""


@pytest.fixture(autouse=True)
def _nothing_from_outside(monkeypatch):
    for name in ("SCMMLAB_SITE", "SCMMLAB_STORE", "SCMMLAB_TRACKING_URI", "MLFLOW_TRACKING_URI", "RAY_ADDRESS"):
        monkeypatch.delenv(name, raising=False)
    # a connection sets it, and it is to be as it was afterwards
    monkeypatch.setenv("RAY_API_SERVER_ADDRESS", "")


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """A working directory with a study; the current folder."""
    here = tmp_path / "work"
    here.mkdir()
    (here / "mine.yaml").write_text(STUDY)
    monkeypatch.chdir(here)
    return here


@pytest.fixture
def unreachable() -> str:
    """An address at which nobody answers."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


def refused(done) -> str:
    assert done.status == 2, done.err
    assert "Traceback" not in done.err
    return done.err


# --- what is refused


def test_a_store_that_goes_with_the_job_is_refused(scmmlab, folder, unreachable) -> None:
    for options in ((), ("--store", "results/here")):
        said = refused(scmmlab("submit", "mine.yaml", "--address", unreachable, *options))
        assert "'--store'" in said
        assert "deleted after it" in said
        assert "absolute folder" in said


def test_an_mlflow_that_goes_with_the_job_is_refused(scmmlab, folder, unreachable) -> None:
    options = ("--store", "/shared/runs", "--tracking-uri", "sqlite:///mlflow.db")
    assert "'--tracking-uri'" in refused(scmmlab("submit", "mine.yaml", "--address", unreachable, *options))


def test_a_study_with_a_mistake_is_refused(scmmlab, folder, unreachable) -> None:
    options = ("--store", "/shared/runs", "--address", unreachable)
    said = refused(scmmlab("submit", "mine.yaml", *options, "--set", "base.masking.ratio=2"))
    assert "base.masking.ratio" in said
    said = refused(scmmlab("submit", "mine.yaml", *options, "--set", "transfers.halves.target.subjects=10-35"))
    assert "would leak" in said


def test_a_study_outside_the_working_directory_is_refused(scmmlab, folder, unreachable, tmp_path) -> None:
    options = ("--store", "/shared/runs", "--address", unreachable)
    (tmp_path / "other").mkdir()
    said = refused(scmmlab("submit", "mine.yaml", *options, "--working-dir", tmp_path / "other"))
    assert "the study mine.yaml is not in it" in said
    assert "--working-dir" in said
    (folder / ".gitignore").write_text("*.yaml\n")
    assert "is excluded from the upload" in refused(scmmlab("submit", "mine.yaml", *options))
    assert "there is no folder" in refused(scmmlab("submit", "mine.yaml", *options, "--working-dir", "nowhere"))


def test_a_relative_table_that_stays_behind_is_refused_and_an_absolute_one_is_the_clusters(
    scmmlab, study, unreachable, monkeypatch
) -> None:
    monkeypatch.chdir(study.parent)
    (study.parent / ".rayignore").write_text("*.parquet\n/a\n/b\n")
    options = ("--store", "/shared/runs", "--address", unreachable)
    said = refused(scmmlab("submit", study.name, *options))
    assert f"The table {study.parent}/a of study 'tiny' is not uploaded with the job" in said
    elsewhere = [f"--set=transfers.a-to-b.{side}.table=/shared/{side}" for side in ("source", "target")]
    assert "Nothing answers" in refused(scmmlab("submit", study.name, *options, *elsewhere))
    (study.parent / ".rayignore").unlink()


def test_a_variable_that_is_not_set_is_refused(scmmlab, folder, unreachable) -> None:
    options = ("--store", "/shared/runs", "--address", unreachable)
    said = refused(scmmlab("submit", "mine.yaml", *options, "--env", "NOT_SET_ANYWHERE"))
    assert "NOT_SET_ANYWHERE" in said
    assert "--env" in said


def test_a_folder_that_is_too_large_is_refused_with_its_largest_files(scmmlab, folder, unreachable) -> None:
    for name, mib in (("weights.bin", 90), ("video.mov", 40), ("small.bin", 1)):
        with (folder / name).open("wb") as file:
            file.truncate(mib * 2**20)
    said = refused(scmmlab("submit", "mine.yaml", "--store", "/shared/runs", "--address", unreachable))
    assert f"accepts {package_limit() >> 20} MiB" in said
    assert "weights.bin (90 MiB), video.mov (40 MiB), small.bin (1 MiB)" in said
    assert ".rayignore" in said
    (folder / ".rayignore").write_text("*.bin\n*.mov\n")
    assert "Nothing answers" in refused(scmmlab("submit", "mine.yaml", "--store", "/s", "--address", unreachable))


@pytest.mark.parametrize("command", [("submit", "mine.yaml", "--store", "/s"), ("stop", "mine"), ("logs", "mine")])
def test_a_wrong_address_is_said(scmmlab, folder, unreachable, command) -> None:
    said = refused(scmmlab(*command, "--address", unreachable))
    assert f"Nothing answers at {unreachable}: Connection refused." in said
    assert "ssh -L" in said
    assert "No address of a Ray dashboard is given" in refused(scmmlab(*command))
    said = refused(scmmlab(*command, "--address", "head:6379"))
    assert "'--address'" in said
    assert "got 'head:6379'" in said


def test_what_is_no_dashboard_is_said_and_is_sent_no_token(scmmlab, folder, monkeypatch) -> None:
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN", "secret" * 8)
    seen: list[str] = []

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(str(self.headers))
            self.send_error(404)

        def log_message(self, *arguments: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        said = refused(scmmlab("logs", "mine", "--address", f"http://127.0.0.1:{server.server_port}"))
        server.shutdown()
    assert "is not a Ray dashboard: it returned 404" in said
    assert len(seen) == 1
    assert "secret" not in seen[0]


# --- what is sent


def study_job(folder: Path, **changes) -> StudyJob:
    loaded = load_study(folder / "mine.yaml")
    options = {"file": PurePosixPath("mine.yaml"), "directory": look_into(folder), "store": "/shared/my runs"}
    return StudyJob(study=loaded.study, **{**options, **changes})


def test_the_command_is_that_of_a_plain_run(folder) -> None:
    job = study_job(folder, tracking_uri="http://mlflow:5000", overrides=["seeds=[0]"], program="/opt/bin/scmmlab")
    assert job.entrypoint == (
        "/opt/bin/scmmlab run mine.yaml --store '/shared/my runs' --tracking-uri http://mlflow:5000 --set 'seeds=[0]'"
    )
    variables = job.runtime_env["env_vars"]
    assert (variables["RAY_JOB_STOP_SIGNAL"], variables["RAY_JOB_STOP_WAIT_TIME_S"]) == ("SIGINT", "20")
    assert variables["RAY_AUTH_MODE"] == "token"
    assert "RAY_AUTH_MODE" not in study_job(folder, asks_for_token=False).runtime_env["env_vars"]


def test_a_password_is_neither_in_the_command_nor_in_metadata_nor_in_what_is_shown(folder) -> None:
    job = study_job(
        folder,
        store="s3://key:hunter2@bucket/runs?scheme=https",
        tracking_uri="postgresql://mlflow:hunter2@db/mlflow",
        passed_on={"MLFLOW_TRACKING_PASSWORD": "hunter2"},
    )
    assert "hunter2" not in job.entrypoint + json.dumps(job.metadata) + repr(job)
    assert job.runtime_env["env_vars"]["SCMMLAB_STORE"] == job.store
    assert job.runtime_env["env_vars"]["SCMMLAB_TRACKING_URI"] == job.tracking_uri
    assert job.runtime_env["env_vars"]["MLFLOW_TRACKING_PASSWORD"] == "hunter2"
    assert shlex.split(job.entrypoint) == ["scmmlab", "run", "mine.yaml"]


def test_a_job_is_named_after_study_and_store_and_counted(folder) -> None:
    from ray.job_submission import JobDetails

    def of(job_id: str) -> JobDetails:
        return JobDetails(type="SUBMISSION", submission_id=job_id, status="STOPPED", entrypoint="x")

    job = study_job(folder)
    first = job.next_id([])
    stem = first.removesuffix("-1")
    assert stem.startswith("mine-")
    assert job.next_id([of(f"{stem}-1"), of(f"{stem}-9"), of("raysubmit_x"), of(f"{stem}-x")]) == f"{stem}-10"
    assert study_job(folder, store="/elsewhere").next_id([]) != first
    assert study_job(folder, store="/shared/my runs", program="other").next_id([]) == first


def test_resources_make_no_other_version_of_a_study(folder) -> None:
    versions = [
        StudyJob(
            load_study(folder / "mine.yaml", overrides).study, PurePosixPath("x"), look_into(folder), "/s"
        ).metadata
        for overrides in ([], ["resources.workers=7"], ["seeds=[5]"])
    ]
    assert versions[0] == versions[1] != versions[2]


# --- whose a job is


def test_a_job_is_ours_where_user_machine_and_store_are(folder, monkeypatch) -> None:
    from ray.job_submission import JobDetails

    def told(metadata: dict[str, str], store: str | None = None) -> str | None:
        job = JobDetails(type="SUBMISSION", submission_id="mine-1", status="RUNNING", entrypoint="x", metadata=metadata)
        return why_not_ours(job, store)

    monkeypatch.setenv("LOGNAME", "ann")
    ours = study_job(folder, store="s3://key:hunter2@bucket/runs").metadata
    assert told(ours) is None
    assert told(ours, "s3://bucket/runs") is None, "a password makes no other store"
    assert "another store" in str(told(ours, "/elsewhere"))
    assert "does not say" in str(told({"scmmlab.study": "mine"}))
    monkeypatch.setenv("LOGNAME", "bob")
    assert "was submitted by ann@" in str(told(ours))
    assert "this is bob@" in str(told(ours))


def test_places_in_a_jobs_copy_of_the_working_directory_are_refused(scmmlab, folder, tmp_path, monkeypatch) -> None:
    """Where `ray job submit --working-dir` has put the study, and a plain `scmmlab run` is its command."""
    copy = tmp_path / "session" / "runtime_resources" / "working_dir_files" / "_ray_pkg_0123456789abcdef"
    copy.mkdir(parents=True)
    (copy / "mine.yaml").write_text(STUDY, encoding="utf-8")
    monkeypatch.chdir(copy)
    kept = ("--store", tmp_path / "runs")
    for command, option in (
        (("run", "mine.yaml"), "--store"),
        (("run", "mine.yaml", "--store", copy / "results"), "--store"),
        (("run", "mine.yaml", *kept, "--tracking-uri", "sqlite:///mlflow.db"), "--tracking-uri"),
        (("report", "mine.yaml", *kept, "--out", "report"), "--out"),
        (("export", "mine.yaml", *kept, "--out", "mine.tar"), "--out"),
        (("corpus", "build", "eegmat", "--root", tmp_path, "--out", "tables/eegmat"), "--out"),
    ):
        said = refused(scmmlab(*command))
        assert f"'{option}'" in said
        assert "in the job's copy of the working directory, which is deleted after it." in said
    assert list(copy.iterdir()) == [copy / "mine.yaml"]
    assert "nothing to report" in refused(scmmlab("report", "mine.yaml", *kept))


# --- what goes along


SECRETS = (".env", "id_ed25519", "keys/server.pem", ".netrc", ".aws/credentials", ".git/config", "auth_token")
RECORDINGS = (
    "s01.bdf",
    "tables/a/part-00000.parquet",
    "runs/cells/a.json",
    "mlruns/0/meta.yaml",
    "x.npz",
    "report-x/a",
)


def put(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("x")


def test_secrets_and_data_stay_where_a_folder_says_nothing(folder) -> None:
    put(folder, *SECRETS, *RECORDINGS, "notes/plan.md")
    assert set(look_into(folder).files) == {"mine.yaml", "notes/plan.md"}


def test_secrets_stay_whatever_a_folder_says_and_data_as_it_says(folder) -> None:
    put(folder, *SECRETS, *RECORDINGS, "notes/plan.md")
    (folder / ".rayignore").write_text("*.bdf\n!.env\n")
    kept = set(look_into(folder).files)
    assert kept.isdisjoint(SECRETS)
    assert kept == {".rayignore", "mine.yaml", "notes/plan.md", *RECORDINGS} - {"s01.bdf"}


def test_what_is_looked_at_is_what_ray_packs(folder, tmp_path) -> None:
    import zipfile

    from ray._private.runtime_env import packaging

    put(folder, *SECRETS, *RECORDINGS, "notes/plan.md", "code/a.py")
    (folder / ".gitignore").write_text("notes/\n")
    found = look_into(folder)
    packed = tmp_path / "package.zip"
    packaging.create_package(
        str(folder), packed, include_gitignore=True, include_parent_dir=False, excludes=list(found.excludes)
    )
    assert set(zipfile.ZipFile(packed).namelist()) == set(found.files) == {".gitignore", "mine.yaml", "code/a.py"}
    assert found.package_bytes == pytest.approx(packed.stat().st_size, abs=30)


def test_a_checkouts_own_code_is_what_its_job_runs(folder) -> None:
    found = look_into(ROOT)
    assert found.python_path == "platform"
    assert "platform/scmmlab/shipped/eegmat/part-00000.parquet" in found.files
    assert not any(name.startswith((".git/", "tests/", "runs/", ".venv/")) for name in found.files)
    assert look_into(folder).python_path is None


def test_the_repositorys_list_has_all_of_ours() -> None:
    lines = set((ROOT / ".rayignore").read_text().splitlines())
    assert set(ALWAYS) | set(DATA) <= lines


# --- how a log is shown


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_lines_of_progress_are_one_line_of_a_terminal() -> None:
    screen, file = Terminal(), io.StringIO()
    progress = [f"{done}/8 cells done · {running} running\n" for done, running in ((0, 0), (3, 2), (4, 2))]
    log = "".join(["begin\n", *progress[:2], "The table\n", progress[2]])
    for view in (LogView(screen), LogView(file)):
        for start in range(0, len(log), 7):  # pieces end within lines
            view.show(log[start : start + 7])
        view.close()
    assert file.getvalue() == log
    assert screen.getvalue().count("\n") == 3
    assert "\r3/8 cells done · 2 running" in screen.getvalue()


def test_a_line_of_progress_is_known_by_its_form() -> None:
    for noun in ("cells", "settings"):
        assert PROGRESS.match(Progress(12, {}, done=3, noun=noun, stream=io.StringIO()).text())
    assert not PROGRESS.match("3/4 of the tables are read")
