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
    "Exit status: 0 when the study is finished; 1 when a cell failed; 2 when the input is wrong, or another driver is "
    "at the study; 75 when what it ran on was lost or is held by others: nothing is lost, and the same command goes "
    "on; 130 when it was interrupted, and the same command goes on too."
)


def add_parser(subparsers: Subparsers[argparse.ArgumentParser]) -> None:
    """Add the commands to the parser of all commands."""
    plan = subparsers.add_parser(
        "plan",
        help="list the cells of a study, the stages they share and the time they will take",
        description="List the cells of a study and the stages they share, check everything that can be checked before "
        "anything starts, and estimate the time from a short probe of this machine.",
    )
    add_study_options(plan, engine=True)
    plan.add_argument("--no-estimate", action="store_true", help="leave the probe and the estimate out")
    plan.add_argument("--json", action="store_true", help="print the cells with their keys and stage keys instead")
    plan.set_defaults(func=run_plan)

    run = subparsers.add_parser(
        "run",
        help="run what is missing of a study, record it in MLflow and write its report",
        description="Run what is missing of a study. What is finished is never run again: after a crash or an "
        "interruption the same command goes on.",
        epilog=EXIT_STATUSES,
    )
    add_study_options(run, engine=True)
    add_tracking_option(run)
    add_part_option(
        run,
        "run the K-th of N parts only, beside drivers of the others that need not be reachable; whichever is the last "
        "to end writes the report",
    )
    run.set_defaults(func=run_run, joins_ray=True)

    status = subparsers.add_parser(
        "status",
        help="say which cells are finished, failed, running, lost or missing",
        description="Say where each cell of a study stands, as the store has it: finished; failed (at which stage, "
        "why, how often it was tried, where its trace is); running, as a driver that is at work says; lost, where that "
        "driver is gone; or missing. Exit status 1 unless all are finished, or when --check finds damage.",
    )
    add_study_options(status, engine=False)
    add_part_option(status, "look at the cells of the K-th of N parts only")
    status.add_argument(
        "--check",
        action="store_true",
        help="read the encoders and fine-tunings of an ablation too, and set aside those that are damaged",
    )
    status.set_defaults(func=run_status)

    results = subparsers.add_parser(
        "results",
        help="print one row for each cell, fold and metric",
        description="Print one row for each cell, fold and metric, in a fixed order: two runs of one study on one "
        "machine compare byte for byte. Of a sweep, one row for each setting and each time that it was judged; with "
        "'synchronous: false', a sweep on Ray is not repeatable to the byte: its settings depend on timing.",
    )
    add_study_options(results, engine=False)
    results.add_argument("--format", choices=("csv", "json"), default="csv", help="default: csv")
    results.add_argument(
        "--by", choices=("fold", "subject"), default="fold", help="rows of folds, or of tested subjects"
    )
    results.set_defaults(func=run_results)

    report = subparsers.add_parser(
        "report",
        help="write the report: HTML, Markdown and LaTeX",
        description="Write the report of a study as far as it got: self-contained HTML, Markdown with its figures, and "
        "the tables in LaTeX.",
    )
    add_study_options(report, engine=False)
    report.add_argument("--out", metavar="DIR", help="where to (default: report/ in the study's folder)")
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
    """Run the study, and say what has come of it."""
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
    """Print where every cell stands."""
    study = study_of(arguments)
    damaged = 0
    if arguments.check and study.kind == "ablation":
        from scmmlab.cli.progress_line import ProgressLine

        whole, damaged = study.read_through(arguments.part, ProgressLine("Reading encoders and fine-tunings"))
        found = f"{damaged} damaged and set aside: what is needed of them is made again" if damaged else "none damaged"
        print(f"{whole + damaged} encoders and fine-tunings read, {found}.")
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
        print(f"Nothing of study '{study.name}' is finished in {study.store.uri}.", file=sys.stderr)
    return 0


def run_report(arguments: argparse.Namespace) -> int:
    """Write the report, and say where it is."""
    check_places_of_job(arguments)
    paths = study_of(arguments).report(arguments.out).paths
    print(f"Report:  {paths.html}")
    print(f"         {paths.markdown}\n         {paths.latex}")
    return 0
