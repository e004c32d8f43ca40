"""`scmmlab submit`: a study as a job of a Ray cluster, followed to its end."""

from __future__ import annotations

import argparse
import json
import os
import sys
import threading
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from scmmlab.cli.jobs import add_address_option
from scmmlab.cli.lasting_places import check_places
from scmmlab.cli.options import add_study_options
from scmmlab.cli.tracking import add_tracking_option
from scmmlab.errors import ResourceError, SpecError

if TYPE_CHECKING:  # these import Ray
    from scmmlab.config.loading import LoadedStudy
    from scmmlab.execution.jobs.client import JobClient, JobDetails
    from scmmlab.execution.jobs.study_job import StudyJob
    from scmmlab.execution.jobs.working_directory import WorkingDirectory


_LOOK_S = 5.0
"""MLflow is asked for the parent run so often, until it has one."""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser of all commands."""
    parser = subparsers.add_parser(
        "submit",
        help="run a study as a job on a remote Ray cluster, and follow it",
        description="Run what is missing of a study as a job on a Ray cluster, follow it to the end, and exit with "
        "its status. The working directory is uploaded without data, history and secrets. If the study is already "
        "running there, follow that job. Ctrl-C does not stop the job; a lost connection is re-established.",
    )
    add_study_options(parser, engine=False)
    add_tracking_option(parser)
    add_address_option(parser)
    parser.add_argument(
        "--working-dir",
        metavar="DIR",
        default=".",
        help="folder to upload, with the study in it (default: current folder)",
    )
    parser.add_argument(
        "--program",
        metavar="COMMAND",
        help="command that runs scmmlab on the head (default: the site file's, else scmmlab)",
    )
    parser.add_argument(
        "--env",
        metavar="NAME",
        action="append",
        default=[],
        help="environment variable to pass on to the job with its current value; may be repeated",
    )
    parser.add_argument(
        "--engine",
        choices=("ray", "local"),
        default="ray",
        help="ray: on workers of the cluster; local: in the job's own process on the head (default: ray)",
    )
    parser.add_argument("--detach", action="store_true", help="submit the job and return")
    parser.add_argument("--json", action="store_true", help="print the job as JSON at the end, and its log on stderr")
    parser.set_defaults(func=run)


def run(arguments: argparse.Namespace) -> int:
    """Check, submit, follow."""
    from scmmlab.api.recording import check_tracking_uri
    from scmmlab.cli.jobs import coming_back, follow, job_as_json, open_client
    from scmmlab.config.loading import load_study
    from scmmlab.execution.jobs.study_job import StudyJob
    from scmmlab.execution.jobs.working_directory import look_into
    from scmmlab.tracking import git_commit

    loaded = load_study(arguments.study, arguments.set)
    check_tracking_uri(arguments.tracking_uri)
    # by its path alone: what is absolute is a path of the head
    check_places(arguments, lambda path: not path.startswith(("/", "~")))
    checked = _check_plan(loaded)
    passed_on = _passed_on(arguments)
    directory = look_into(Path(arguments.working_dir))
    file = _file_in(directory, loaded)
    _check_tables(loaded, arguments.set, directory)
    client = open_client(arguments)
    ray = arguments.resolved_settings.spec.ray
    job = StudyJob(
        study=loaded.study,
        file=file,
        directory=directory,
        store=arguments.store,
        tracking_uri=arguments.tracking_uri,
        engine=arguments.engine,
        overrides=arguments.set,
        program=arguments.program or ray.program,
        asks_for_token=client.dashboard.asks_for_token,
        stop_wait_s=ray.stop_wait_s,
        commit=git_commit(directory.folder),
        passed_on=passed_on,
    )
    if not checked:
        print("The tables are not on this machine: the job will check the plan before it starts.", file=sys.stderr)
    job_id, attached = _start(client, job)
    links = _links(client, job, job_id)
    print("\n".join(f"{name + ':':<8} {place}" for name, place in links.items()), file=sys.stderr, flush=True)

    status = 0
    if arguments.detach:
        print(coming_back(client, job_id), file=sys.stderr)
    else:
        ended = threading.Event()
        if (job.tracking_uri or "").startswith("http"):
            threading.Thread(target=_print_mlflow_page, args=(job, ended), daemon=True).start()
        status = follow(client, job_id, sys.stderr if arguments.json else sys.stdout)
        ended.set()
    if arguments.json:
        places = {"store": links["Store"], "report": links["Report"], "mlflow": _mlflow_page(job)}
        print(json.dumps({**job_as_json(client, client.job(job_id)), "attached": attached, **places}))
    return status


def _check_plan(loaded: LoadedStudy) -> bool:
    """Check all of the plan where its tables are here; whether they are."""
    from scmmlab.study import check_splits, make_plan
    from scmmlab.tables import read_manifest, read_table

    if not all(table.startswith("shipped:") or Path(table).is_dir() for table in _tables(loaded)):
        return False
    check_splits(make_plan(loaded.study, read_manifest), read_table)
    return True


def _tables(loaded: LoadedStudy) -> list[str]:
    sides = [side for transfer in loaded.study.transfers for side in (transfer.source, transfer.target)]
    return list(dict.fromkeys(side.table for side in sides))


def _passed_on(arguments: argparse.Namespace) -> dict[str, str]:
    names = [*arguments.resolved_settings.spec.ray.environment, *arguments.env]
    missing = [name for name in names if name not in os.environ]
    if missing:
        said_by = "--env" if missing[0] in arguments.env else "ray.environment of the site"
        raise SpecError(
            f"The environment variable {missing[0]} is to be passed on to the job ({said_by}), but is not set here.",
            hint=f"export {missing[0]}=..., or remove it from the list",
        )
    return {name: os.environ[name] for name in names}


def _file_in(directory: WorkingDirectory, loaded: LoadedStudy) -> PurePosixPath:
    """Where the job has the study's file."""
    file = directory.inside(loaded.path)
    if file is None:
        inside = loaded.path.resolve().is_relative_to(directory.folder)
        where = "is excluded from the upload" if inside else "is not in it"
        raise SpecError(
            f"The folder {directory.folder} is uploaded for the job, but the study {loaded.path} {where}.",
            hint="--working-dir DIR, a folder with the study in it; .rayignore and .gitignore list what is excluded",
        )
    return file


def _check_tables(loaded: LoadedStudy, overrides: list[str], directory: WorkingDirectory) -> None:
    """Refuse a table that the job would look for in its copy of the working directory, and not find there."""
    for table in _tables(loaded):
        if table.startswith("shipped:") or "://" in table or directory.has(Path(table) / "manifest.json"):
            continue
        # an absolute path is the cluster's affair; a relative one was made absolute when the study was read
        absolute = any(table in text for text in (loaded.text, *overrides))
        if not absolute or Path(table).is_relative_to(directory.folder):
            raise SpecError(
                f"The table {table} of study '{loaded.study.name}' is not uploaded with the job.",
                hint="tables are never uploaded: give an absolute path on the cluster, or a URI, e.g. "
                f"--set transfers.{loaded.study.transfers[0].name}.source.table=/shared/tables/...",
            )


def _start(client: JobClient, job: StudyJob) -> tuple[str, bool]:
    """Submit the study, or find the job that has it; the job's ID, and whether it was there before."""
    from scmmlab.execution.jobs.client import IdTakenError

    while True:
        jobs = client.jobs()
        running = [other for other in jobs if job.is_of_this_study(other) and not other.status.is_terminal()]
        if running:
            return _attach(client, job, running[-1]), True
        job_id = job.next_id(jobs)
        try:
            client.submit(job_id, job.entrypoint, job.runtime_env, job.metadata)
        except IdTakenError:
            continue  # somebody else was faster
        return job_id, False


def _attach(client: JobClient, job: StudyJob, running: JobDetails) -> str:
    job_id: str = running.submission_id
    if not job.is_same_version(running):
        raise ResourceError(
            f"Another version of study '{job.study.name}' is running in this store, as job {job_id}.",
            hint=f"scmmlab stop {job_id} --address {client.dashboard.address}; then submit again",
        )
    print(f"The study is already running: following job {job_id} from its start.", file=sys.stderr)
    return job_id


def _links(client: JobClient, job: StudyJob, job_id: str) -> dict[str, str]:
    from scmmlab.execution.jobs.past_jobs import dashboard_page
    from scmmlab.study.storage_location import shown_location
    from scmmlab.tracking import shown_uri

    store = shown_location(job.store)
    tracked = (
        shown_uri(job.tracking_uri) if job.tracking_uri else "as set in the cluster's environment, else in the store"
    )
    return {
        "Job": job_id,
        "Ray": dashboard_page(client.dashboard.address, job_id),
        "Store": store,
        "Report": f"{store.rstrip('/')}/studies/{job.study.name}/report/report.html",
        "MLflow": tracked,
    }


def _print_mlflow_page(job: StudyJob, ended: threading.Event) -> None:
    """Say where the parent run is, once it is there and if MLflow can be reached from here."""
    while not ended.wait(_LOOK_S):
        if (page := _mlflow_page(job)) is not None:
            print(f"MLflow:  {page}", file=sys.stderr, flush=True)
            return


def _mlflow_page(job: StudyJob) -> str | None:
    from scmmlab.tracking.links import parent_run_page

    return parent_run_page(job.tracking_uri, job.study.name) if job.tracking_uri else None
