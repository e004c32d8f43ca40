"""`scmmlab plan | run | status | results | report`: the life of a study."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scmmlab.cli.lasting_places import check_places_of_job
from scmmlab.cli.options import add_part_option, add_study_options
from scmmlab.cli.tracking import add_tracking_option, check_tracking_uri, open_tracker, owner_of

if TYPE_CHECKING:  # these import torch, Ray and pandas: a command imports what it needs
    from scmmlab.config.loading import LoadedStudy
    from scmmlab.report import ReportPaths
    from scmmlab.study import Plan, ResultRow, ResultStore

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
    from scmmlab.study import describe, study_status

    _, plan, store = open_study(arguments, check_folds=True)
    _say_other_keys(plan, store)
    if arguments.json:
        print(json.dumps(plan.to_json(), indent=1))
        return 0
    status = study_status(plan, store)
    print(describe(plan, status.done), end="")
    if not arguments.no_estimate:
        from scmmlab.execution.estimate import estimate

        print(f"\n{estimate(plan, status.done, arguments.engine)}")
    return 0


def run_run(arguments: argparse.Namespace) -> int:
    """Run the study, and write its report."""
    from scmmlab.execution.ray_wanted import check_ray
    from scmmlab.study import search_records

    check_places_of_job(arguments)
    if arguments.engine == "ray":
        check_ray(os.environ)
    loaded, plan, store = open_study(arguments, check_folds=True)
    _say_other_keys(plan, store)
    if plan.study.kind == "sweep":
        search_records(plan, store)  # refuses another search's folder, before anything is written there
    check_tracking_uri(arguments.tracking_uri)
    run = _run_whole if arguments.part is None else _run_part
    return run(arguments, loaded, plan, store)


def _run_whole(arguments: argparse.Namespace, loaded: LoadedStudy, plan: Plan, store: ResultStore) -> int:
    from scmmlab.cli.at_work import AtWork
    from scmmlab.execution.engines import run_study
    from scmmlab.report.summary import summary_table
    from scmmlab.study import describe, driving, known_identity, study_status
    from scmmlab.study.places import without_password
    from scmmlab.tracking import versions
    from scmmlab.tracking.links import parent_run_page

    folder = store.study_folder(loaded.study.name)
    found = versions(loaded.path.parent)
    with driving(folder, plan.study.name, _another_drives(arguments)) as driver:
        tracker, tracked_at = open_tracker(arguments.tracking_uri, store, loaded.study.name)
        with AtWork(driver, tracker) as tracker:
            _write_plan(plan, store, found)
            spec = loaded.study.model_dump(mode="json")
            tracker.start_study(loaded.study.name, spec, describe(plan, study_status(plan, store).done), found)
            summary = run_study(plan, store, arguments.engine, tracker)
            paths, results = write_study_report(plan, store, None)
            tracker.finish_study(paths.html.parent, complete=summary.complete)
    print(summary_table(results))
    for failure in summary.failures:
        print(f"failed: {failure}", file=sys.stderr)
    print(f"Report:  {paths.html}")
    if folder.local is None:
        print(f"         {folder.uri}/report/report.html")
    if tracked_at:
        owner = owner_of(store, plan.study.name, known_identity(folder))
        print(f"MLflow:  {parent_run_page(arguments.tracking_uri or '', plan.study.name, owner) or tracked_at}")
        print(f"         scmmlab ui {arguments.study} --store {shlex.quote(without_password(arguments.store))}")
    return 0 if summary.complete else 1


def _run_part(arguments: argparse.Namespace, loaded: LoadedStudy, plan: Plan, store: ResultStore) -> int:
    """Run a part, and finish the study where no other part has anything left to do."""
    from scmmlab.cli.at_work import AtWork
    from scmmlab.errors import BusyError
    from scmmlab.execution.engines import run_study
    from scmmlab.study import driving, is_complete, plan_of_part
    from scmmlab.tracking import Tracker, versions

    part = plan_of_part(plan, arguments.part)
    folder = store.study_folder(plan.study.name)
    with driving(folder, plan.study.name, _another_drives(arguments), arguments.part) as driver:
        _write_plan(plan, store, versions(loaded.path.parent))
        # no MLflow: parts at work at the same time would write its parent run over each other
        summary = run_study(part, store, arguments.engine, AtWork(driver, Tracker()))
    print(f"Part {arguments.part}: {summary.finished} of {summary.total} cells are finished.")
    for failure in summary.failures:
        print(f"failed: {failure}", file=sys.stderr)
    if not summary.complete:
        return 1
    if not is_complete(plan, store):
        print("Other parts are not yet finished; the last one to end writes the report.")
        return 0
    try:
        return _run_whole(arguments, loaded, plan, store)
    except BusyError:
        # by a part that is just letting go, which looks at the store after this one, or by one that writes the report
        print("So are all other parts; another driver writes the report.")
        return 0


def _write_plan(plan: Plan, store: ResultStore, versions: Mapping[str, str]) -> None:
    """Leave word in the study's folder of what is run, and with which versions."""
    from scmmlab.config import study_yaml
    from scmmlab.study import study_identity
    from scmmlab.study.attempts import note_attempt

    folder = store.study_folder(plan.study.name)
    study_identity(folder)  # a study that has a plan and no identity was begun before there were any
    folder.write_text("spec.yaml", study_yaml(plan.study))
    folder.write_text("plan.json", json.dumps(plan.to_json(), indent=1) + "\n")
    note_attempt(plan, store, versions)


def _another_drives(arguments: argparse.Namespace) -> str:
    """What to do where another driver has the study."""
    from scmmlab.study.claims import LEASE_S
    from scmmlab.study.places import without_password

    again = f"scmmlab status {arguments.study} --store {shlex.quote(without_password(arguments.store))}"
    return (
        f"{again} shows how far it is. When it has ended, or {LEASE_S:.0f} s after it was killed, the same command "
        "goes on with what is missing"
    )


def run_status(arguments: argparse.Namespace) -> int:
    """Print where every cell stands."""
    from scmmlab.errors import is_settled
    from scmmlab.study import plan_of_part, search_records, study_status
    from scmmlab.study.status import work_lines

    _, plan, store = open_study(arguments)
    _say_other_keys(plan, store)
    if arguments.part is not None:
        plan = plan_of_part(plan, arguments.part)
    if plan.study.kind == "sweep":
        records = search_records(plan, store)
        states = [record["state"] for record in records]
        counts = ", ".join(f"{states.count(state)} {state}" for state in ("complete", "pruned", "failed"))
        print(f"{plan.study.tune_trials} settings: {counts}, {plan.study.tune_trials - len(records)} missing")
        for line in work_lines(plan, store):
            print(line)
        for record in records:
            if record.get("error"):
                print(f"  failed   tune_trial {record['number']}: {record['error']}")
        settled = sum(is_settled(record.get("cause")) for record in records)
        return 0 if settled >= plan.study.tune_trials else 1
    damaged = _read_through(plan, store) if arguments.check else 0
    status = study_status(plan, store, ask_drivers=True)
    print(status.text(), end="")
    return 0 if status.complete and not damaged else 1


def _read_through(plan: Plan, store: ResultStore) -> int:
    """Read what looking at a study leaves unread, and say what was found: the number of damaged objects."""
    from scmmlab.cli.progress_line import ProgressLine
    from scmmlab.study.integrity import read_through

    whole, damaged = read_through(plan, store, ProgressLine("Reading encoders and fine-tunings"))
    found = f"{damaged} damaged and set aside: what is needed of them is made again" if damaged else "none damaged"
    print(f"{whole + damaged} encoders and fine-tunings read, {found}.")
    return damaged


def run_results(arguments: argparse.Namespace) -> int:
    """Print the rows."""
    from scmmlab.study import result_rows, rows_csv, rows_json, search_records, trial_rows

    _, plan, store = open_study(arguments)
    _say_other_keys(plan, store)
    study = plan.study
    rows: list[ResultRow] | list[dict[str, Any]]
    if study.kind == "sweep":
        rows = trial_rows(study.name, search_records(plan, store))
    else:
        rows = result_rows(study.name, plan.cells, store.get_cell, by=arguments.by)
    sys.stdout.write(rows_csv(rows) if arguments.format == "csv" else rows_json(rows))
    if not rows:
        print(f"Nothing of study '{study.name}' is finished in {store.uri}.", file=sys.stderr)
    return 0


def run_report(arguments: argparse.Namespace) -> int:
    """Write the report, and say where it is."""
    from scmmlab.errors import StoreError
    from scmmlab.study.places import without_password

    check_places_of_job(arguments)
    _, plan, store = open_study(arguments)
    _say_other_keys(plan, store)
    if not _begun(plan, store):
        raise StoreError(
            f"There is nothing to report: nothing of study '{plan.study.name}' is finished in {store.uri}.",
            hint=f"scmmlab run {arguments.study} --store {shlex.quote(without_password(arguments.store))}",
        )
    paths, _ = write_study_report(plan, store, arguments.out)
    print(f"Report:  {paths.html}")
    print(f"         {paths.markdown}\n         {paths.latex}")
    return 0


def open_study(arguments: argparse.Namespace, check_folds: bool = False) -> tuple[LoadedStudy, Plan, ResultStore]:
    """The study that the command line names, its plan and its store."""
    from scmmlab.config.loading import load_study
    from scmmlab.study import ResultStore, check_splits, make_plan
    from scmmlab.tables import read_manifest, read_table

    loaded = load_study(arguments.study, arguments.set)
    plan = make_plan(loaded.study, read_manifest)
    if check_folds:
        check_splits(plan, read_table)
    return loaded, plan, ResultStore(arguments.store)


def _say_other_keys(plan: Plan, store: ResultStore) -> None:
    """Say why results may be under other keys than the user expects."""
    from scmmlab.config.code_digest import edited_code
    from scmmlab.study.attempts import earlier_keys

    for note in (edited_code("cells"), earlier_keys(store.study_folder(plan.study.name))):
        if note:
            print(f"Note: {note}", file=sys.stderr)


def _begun(plan: Plan, store: ResultStore) -> bool:
    """Whether anything is known of the study: a result, or a failure."""
    if plan.study.kind == "sweep":
        return bool(store.study_folder(plan.study.name).trials())
    known = store.keys("cells") | store.keys("failures")
    return not known.isdisjoint(plan.distinct.keys() | plan.pretraining.keys())


def write_study_report(plan: Plan, store: ResultStore, out: str | None):  # type: ignore[no-untyped-def]
    """Write the report of a study as far as it got, to `out` or its own folder; its paths, and what it shows."""
    from scmmlab.report import write_report
    from scmmlab.report.collect import collect_results
    from scmmlab.study.attempts import latest_versions
    from scmmlab.tracking import versions

    folder = store.study_folder(plan.study.name)
    place = Path(out) if out else folder.local / "report" if folder.local else Path(f"report-{plan.study.name}")
    results = collect_results(plan, store, latest_versions(folder) or versions())
    paths: ReportPaths = write_report(results, place)
    if out is None and folder.local is None:  # people read the one here; the one in the store stays with the results
        for path in paths.all:
            folder.write_bytes(f"report/{path.relative_to(place).as_posix()}", path.read_bytes())
    return paths, results
