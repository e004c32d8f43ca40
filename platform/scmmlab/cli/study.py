"""`scmmlab plan | run | status | results | report`: the life of a study."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
from typing import TYPE_CHECKING

from scmmlab.cli.lasting_places import check_places_of_job
from scmmlab.cli.options import add_part_option, add_study_options, study_of, to_stderr
from scmmlab.cli.tracking import add_tracking_option

if TYPE_CHECKING:  # a command imports what it needs
    from scmmlab.execution.summary import RunSummary

Subparsers = argparse._SubParsersAction

EXIT_STATUSES = (
    "Exit status: 0 the study is finished; 1 a cell failed; 2 the input is invalid, or another driver is running "
    "the study; 75 machines or workers were lost, or are in use by others; 130 interrupted. After 75 and 130 "
    "nothing is lost, and the same command continues."
)


def add_parser(subparsers: Subparsers[argparse.ArgumentParser]) -> None:
    """Add the commands to the parser of all commands."""
    plan = subparsers.add_parser(
        "plan",
        help="list the cells of a study and the stages they share, and estimate the time",
        description="List the cells of a study and the stages they share, run all checks, and estimate the time "
        "from a short benchmark on this machine.",
    )
    add_study_options(plan, engine=True)
    plan.add_argument("--no-estimate", action="store_true", help="skip the estimate")
    plan.add_argument("--json", action="store_true", help="print the cells with their keys as JSON instead")
    plan.set_defaults(func=run_plan)

    run = subparsers.add_parser(
        "run",
        help="run what is missing of a study, record it in MLflow and write the report",
        description="Run what is missing of a study. Finished cells are never run again: after a crash or an "
        "interruption, give the same command to continue.",
        epilog=EXIT_STATUSES,
    )
    add_study_options(run, engine=True)
    add_tracking_option(run)
    add_part_option(
        run,
        "run only the K-th of N parts; drivers of the other parts may run at the same time on other machines, and "
        "the last one to finish writes the report",
    )
    run.set_defaults(func=run_run, joins_ray=True)

    status = subparsers.add_parser(
        "status",
        help="show which cells are finished, failed, running, lost or missing",
        description="Show the state of each cell of a study as recorded in the store: finished; failed (stage, "
        "reason, number of tries, where the trace is); running; lost (its driver is gone); or missing. Exit status "
        "1 unless all are finished, or if --check finds damage.",
    )
    add_study_options(status, engine=False)
    add_part_option(status, "show only the K-th of N parts")
    status.add_argument(
        "--check",
        action="store_true",
        help="also read the encoders and fine-tuning results of an ablation, and set damaged ones aside",
    )
    status.set_defaults(func=run_status)

    results = subparsers.add_parser(
        "results",
        help="print one row per cell, fold and metric",
        description="Print one row per cell, fold and metric in a fixed order: two runs of a study on one machine "
        "give the same bytes. For a sweep, print one row per setting and probe; with 'synchronous: false', a sweep "
        "on Ray is not reproducible to the byte, because its settings depend on timing.",
    )
    add_study_options(results, engine=False)
    results.add_argument("--format", choices=("csv", "json"), default="csv", help="default: csv")
    results.add_argument(
        "--by",
        choices=("fold", "subject"),
        default="fold",
        help="one row per fold, or per tested subject (default: fold)",
    )
    results.set_defaults(func=run_results)

    report = subparsers.add_parser(
        "report",
        help="write the report: HTML, Markdown and LaTeX",
        description="Write the report of a study from the results so far: self-contained HTML, Markdown with "
        "figures, and the tables in LaTeX.",
    )
    add_study_options(report, engine=False)
    report.add_argument("--out", metavar="DIR", help="output folder (default: report/ in the study's folder)")
    report.set_defaults(func=run_report)


def run_plan(arguments: argparse.Namespace) -> int:
    """Print the plan."""
    plan = study_of(arguments, check_folds=True).plan()
    if arguments.json:
        print(json.dumps(plan.to_json(), indent=1))
        return 0
    print(plan, end="")
    if not arguments.no_estimate:
        print(f"\n{plan.estimate(arguments.engine)}")
    return 0


def run_run(arguments: argparse.Namespace) -> int:
    """Run the study, and print its results."""
    from scmmlab.execution.ray.requirements import check_ray
    from scmmlab.study.storage_location import without_password

    check_places_of_job(arguments)
    if arguments.engine == "ray":
        check_ray(os.environ)

    def part_ended(summary: RunSummary) -> None:
        print(f"Part {arguments.part}: {summary.finished} of {summary.total} cells are finished.")
        _print_failures(summary.failures)

    run = study_of(arguments, check_folds=True).run(
        arguments.engine,
        tracking_uri=arguments.tracking_uri,
        part=arguments.part,
        part_ended=part_ended,
        notify=to_stderr,
    )
    if run.report is None:
        if run.left:
            print(run.left)
        return 0 if run.complete else 1
    print(run)
    _print_failures(run.failures)
    print(f"Report:  {run.report.paths.html}")
    if run.report.stored:
        print(f"         {run.report.stored}")
    if run.tracked_at:
        print(f"MLflow:  {run.mlflow}")
        print(f"         scmmlab ui {arguments.study} --store {shlex.quote(without_password(arguments.store))}")
    return 0 if run.complete else 1


def _print_failures(failures: tuple[str, ...]) -> None:
    for failure in failures:
        print(f"failed: {failure}", file=sys.stderr)


def run_status(arguments: argparse.Namespace) -> int:
    """Print the state of every cell."""
    study = study_of(arguments)
    damaged = 0
    if arguments.check and study.kind == "ablation":
        from scmmlab.cli.progress_line import ProgressLine

        whole, damaged = study.read_through(arguments.part, ProgressLine("Reading encoders and fine-tuning results"))
        found = (
            f"{damaged} damaged and set aside: what is needed of them will be made again" if damaged else "none damaged"
        )
        print(f"{whole + damaged} encoders and fine-tuning results read, {found}.")
    status = study.status(arguments.part)
    print(status, end="")
    return 0 if status.complete and not damaged else 1


def run_results(arguments: argparse.Namespace) -> int:
    """Print the rows."""
    from scmmlab.study import rows_csv, rows_json

    study = study_of(arguments)
    rows = study.rows(arguments.by)
    sys.stdout.write(rows_csv(rows) if arguments.format == "csv" else rows_json(rows))
    if not rows:
        print(f"No results of study '{study.name}' in {study.store.uri} yet.", file=sys.stderr)
    return 0


def run_report(arguments: argparse.Namespace) -> int:
    """Write the report, and print where it is."""
    check_places_of_job(arguments)
    paths = study_of(arguments).report(arguments.out).paths
    print(f"Report:  {paths.html}")
    print(f"         {paths.markdown}\n         {paths.latex}")
    return 0
