"""`scmmlab stop | logs`: jobs that `scmmlab submit` or `ray job submit` started on a cluster."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from typing import TYPE_CHECKING, TextIO

from scmmlab.cli.options import add_site_option
from scmmlab.errors import ResourceError, nearest

if TYPE_CHECKING:  # these import Ray
    from scmmlab.execution.jobs.client import JobClient, JobDetails

_POLL_S = 0.5
_AFTER_THE_KILL_S = 60.0
"""Longest time that a cluster takes to report the end of a job that it has killed."""
_SHOWN = 8


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the commands to the parser of all commands."""
    stop = subparsers.add_parser(
        "stop",
        help="stop a study's job on a cluster; finished results are kept",
        description="Stop a study's job: it finishes what it is writing and exits, within the time limit that it "
        "was submitted with. Submit the study again to continue. If the job is found by the study's name and may be "
        "somebody else's, you are asked first.",
    )
    _add_job_options(stop)
    stop.add_argument("--yes", action="store_true", help="stop it without asking, whoever submitted it")
    stop.add_argument("--json", action="store_true", help="print the job as JSON")
    stop.set_defaults(func=run_stop)

    logs = subparsers.add_parser(
        "logs",
        help="show or follow the log of a study's job on a cluster",
        description="Show the log of a study's latest job. With --follow, follow it until the job ends, and exit "
        "with the study's status; Ctrl-C does not stop the job.",
    )
    _add_job_options(logs)
    logs.add_argument("--follow", action="store_true", help="follow the log until the job ends")
    logs.set_defaults(func=run_logs)


def _add_job_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "target", metavar="STUDY|JOB", help="a study's YAML file, its name, or a job ID as printed by submit"
    )
    add_address_option(parser)
    add_site_option(parser)


def add_address_option(parser: argparse.ArgumentParser) -> None:
    """Add --address."""
    parser.add_argument(
        "--address",
        metavar="URL",
        help="Ray's dashboard: http://HOST:8265, https://... (default: RAY_API_SERVER_ADDRESS, RAY_ADDRESS, else "
        "the site file's)",
    )


def run_stop(arguments: argparse.Namespace) -> int:
    """Stop it, and wait until it has ended."""
    client = open_client(arguments)
    found = _find(client, arguments.target)
    running = [job for job in found if not job.status.is_terminal()]
    if len(running) > 1:
        raise ResourceError(
            f"{arguments.target} has {len(running)} jobs, each with a store of its own: "
            f"{', '.join(job.submission_id for job in running)}.",
            hint="give the ID of the one to stop",
        )
    if not running:
        job = found[-1]
        print(f"Job {job.submission_id} has already ended: {_state(job)}.", file=sys.stderr)
    else:
        if not arguments.yes and running[0].submission_id != arguments.target and not _agreed(arguments, running[0]):
            print(f"Job {running[0].submission_id} was not stopped.", file=sys.stderr)
            return 1
        client.stop(running[0].submission_id)
        job = _wait_for_end(client, running[0])
        print(f"Job {job.submission_id} has ended: {_state(job)}.", file=sys.stderr)
        print("Finished results are kept; the same 'scmmlab submit' continues with what is missing.", file=sys.stderr)
    if arguments.json:
        print(json.dumps(job_as_json(client, job)))
    return 0


def _agreed(arguments: argparse.Namespace, job: JobDetails) -> bool:
    """Whether a job that was found by its study's name is to be stopped: ours is, another's where the user says so."""
    from scmmlab.execution.jobs.past_jobs import why_not_ours

    reason = why_not_ours(job, arguments.resolved_settings.spec.store)
    if reason is None:
        return True
    found = f"The only running job of {arguments.target}, {job.submission_id}, {reason}."
    if not sys.stdin.isatty():
        raise ResourceError(
            f"{found} It was not stopped.", hint=f"--yes, or scmmlab stop {job.submission_id}, stops it anyway"
        )
    print(f"{found} Stop it anyway? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def run_logs(arguments: argparse.Namespace) -> int:
    """Show the log of the latest job."""
    client = open_client(arguments)
    found = _find(client, arguments.target)
    job = next((job for job in reversed(found) if not job.status.is_terminal()), found[-1])
    if arguments.follow:
        return follow(client, job.submission_id, sys.stdout)
    sys.stdout.write(client.log(job.submission_id))
    print(f"Job {job.submission_id}: {_state(job)}.", file=sys.stderr)
    return 0


def open_client(arguments: argparse.Namespace) -> JobClient:
    """The jobs of the cluster that the command line names, which has been looked at first."""
    from scmmlab.execution.jobs.dashboard import find_dashboard

    dashboard = find_dashboard(arguments.address, os.environ, arguments.resolved_settings.spec.ray.ca_file)
    if dashboard.open_to_all:
        print(
            f"Warning: the cluster at {dashboard.address} asks for no token: anybody who can reach it can run code "
            f"there. "
            "Start its Ray with RAY_AUTH_MODE=token.",
            file=sys.stderr,
        )
    if dashboard.overheard:
        print(
            f"Warning: the cluster's token is sent to {dashboard.address} unencrypted. Use ssh -L or https.",
            file=sys.stderr,
        )
    from scmmlab.execution.jobs.client import JobClient  # Ray takes seconds to import

    return JobClient(dashboard)


def follow(client: JobClient, job_id: str, stream: TextIO) -> int:
    """Show a job's log on `stream` until it ends; the exit status of its study, or 130 after Ctrl-C."""
    from scmmlab.execution.jobs.following import Follower
    from scmmlab.execution.jobs.log_view import LogView
    from scmmlab.execution.jobs.past_jobs import exit_status

    view = LogView(stream)

    def notify(text: str) -> None:
        view.make_room()
        print(text, file=sys.stderr, flush=True)

    try:
        job = Follower(client, job_id, view.show, notify).follow()
    except KeyboardInterrupt:
        view.close()
        print("\n" + coming_back(client, job_id), file=sys.stderr)
        return 130
    view.close()
    status = exit_status(job)
    assert status is not None, "it was followed to its end"
    if status:
        print(f"Job {job_id} has ended: {_state(job)}.", file=sys.stderr)
        if job.driver_exit_code in (126, 127):
            print(
                "Hint: there is no such program in the PATH of Ray on the head; give its full path by --program, or "
                "by ray.program in the site file",
                file=sys.stderr,
            )
    return status


def coming_back(client: JobClient, job_id: str) -> str:
    """How to go on with a job that is left to itself."""
    at = f"{job_id} --address {client.dashboard.address}"
    return f"Job {job_id} keeps running.\nFollow it:  scmmlab logs {at} --follow\nStop it:    scmmlab stop {at}"


def job_as_json(client: JobClient, job: JobDetails) -> dict[str, object]:
    """What a program wants to know of a job."""
    from scmmlab.execution.jobs.past_jobs import dashboard_page, exit_status

    return {
        "job": job.submission_id,
        "status": str(job.status.value),
        "exit_status": exit_status(job),
        "address": client.dashboard.address,
        "dashboard": dashboard_page(client.dashboard.address, job.submission_id),
    }


def _find(client: JobClient, target: str) -> list[JobDetails]:
    """The job of that name, or all that a study has had; at least one."""
    from pathlib import Path

    from scmmlab.execution.jobs.past_jobs import STUDY, jobs_of_study

    jobs = client.jobs()
    if exact := [job for job in jobs if job.submission_id == target]:
        return exact
    name = target
    if target.endswith((".yaml", ".yml")) or Path(target).is_file():
        from scmmlab.config.loading import load_study

        name = load_study(target).study.name
    if found := jobs_of_study(jobs, name):
        return found
    known = [job.submission_id for job in jobs]
    studies = sorted({job.metadata[STUDY] for job in jobs if STUDY in (job.metadata or {})})
    guess = nearest(target, [*known, *studies])
    there = f"its latest are {', '.join(known[-_SHOWN:])}" if known else "it has had none at all"
    what = f"no job {target!r}, nor one of a study of that name" if name == target else f"no job of study {name!r}"
    raise ResourceError(
        f"The cluster at {client.dashboard.address} has had {what}; {there}.",
        hint=f"did you mean {guess!r}?" if guess else "scmmlab submit STUDY",
    )


def _wait_for_end(client: JobClient, job: JobDetails) -> JobDetails:
    """Wait as long as the job may take to end in order, and Ray to kill it after that."""
    variables = (job.runtime_env or {}).get("env_vars", {})
    timeout_s = float(variables.get("RAY_JOB_STOP_WAIT_TIME_S", 3)) + _AFTER_THE_KILL_S
    end = time.monotonic() + timeout_s
    while not (job := client.job(job.submission_id)).status.is_terminal():
        if time.monotonic() > end:
            raise ResourceError(
                f"Job {job.submission_id} was asked to stop, but has not ended after {timeout_s:.0f} s.",
                hint=f"ray job status {job.submission_id} --address {client.dashboard.address}",
            )
        time.sleep(_POLL_S)
    return job


def _state(job: JobDetails) -> str:
    """`SUCCEEDED`, `FAILED with exit status 1`, and why, where Ray has a reason of its own."""
    said = str(job.status.value)
    if job.driver_exit_code:
        said += f" with exit status {job.driver_exit_code}"
    elif job.status == "FAILED" and job.message:
        said += f" ({job.message.strip().splitlines()[0]})"
    return said
