"""`scmmlab mlflow sync`: MLflow's view of a study, made again from the store."""

from __future__ import annotations

import argparse

from scmmlab.cli.options import add_study_options
from scmmlab.cli.tracking import add_tracking_option, open_tracker
from scmmlab.errors import SpecError


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the commands to the parser of all commands."""
    group = subparsers.add_parser(
        "mlflow",
        help="write what the store holds of a study to MLflow",
        description="MLflow is a view: what the store holds can be written to it at any time.",
    )
    commands = group.add_subparsers(dest="mlflow_command", metavar="COMMAND", required=True)
    sync = commands.add_parser(
        "sync",
        help="write every finished cell or setting, every failure and the report to MLflow",
        description="Write what an earlier run left waiting, then every finished cell or setting with its curves, "
        "every failure and the report. What is there already is not written twice: runs keep their IDs.",
    )
    add_study_options(sync, engine=False)
    add_tracking_option(sync)
    sync.set_defaults(func=run_sync)


def run_sync(arguments: argparse.Namespace) -> int:
    """Make the view again."""
    from scmmlab.cli.progress_line import ProgressLine
    from scmmlab.cli.study import open_study, write_study_report
    from scmmlab.execution.retelling import retell
    from scmmlab.study import driving

    loaded, plan, store = open_study(arguments)
    name = loaded.study.name
    # a run writes to MLflow itself, and would find its runs ended
    with driving(store.study_folder(name), name, "wait until it has ended: it writes to MLflow itself"):
        tracker, tracked_at = open_tracker(arguments.tracking_uri, store, name, direct=True)
        if tracked_at is None:
            raise SpecError("There is no MLflow to write to.", hint="name --tracking-uri")
        with tracker:
            counts = retell(
                plan,
                store,
                tracker,
                lambda: write_study_report(plan, store, None)[0].html.parent,
                ProgressLine("Writing cells to MLflow" if plan.cells else "Writing settings to MLflow"),
            )
    print(f"MLflow:  {tracked_at}")
    print("         " + ", ".join(f"{number} {state}" for state, number in counts.items()))
    return 0
