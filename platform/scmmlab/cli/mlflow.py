"""`scmmlab mlflow sync`: rebuild MLflow's view of a study from the store."""

from __future__ import annotations

import argparse

from scmmlab.cli.options import add_study_options, study_of, to_stderr
from scmmlab.cli.tracking import add_tracking_option


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the commands to the parser of all commands."""
    group = subparsers.add_parser(
        "mlflow",
        help="write a study's results from the store to MLflow",
        description="MLflow is a view of the store, and can be rebuilt from it at any time.",
    )
    commands = group.add_subparsers(dest="mlflow_command", metavar="COMMAND", required=True)
    sync = commands.add_parser(
        "sync",
        help="write every finished cell or setting, every failure and the report to MLflow",
        description="Write every finished cell or setting with its curves, every failure and the report. What is "
        "already there is not written twice: runs keep their IDs.",
    )
    add_study_options(sync, engine=False)
    add_tracking_option(sync)
    sync.set_defaults(func=run_sync)


def run_sync(arguments: argparse.Namespace) -> int:
    """Rebuild the view."""
    from scmmlab.cli.progress_line import ProgressLine

    study = study_of(arguments, with_notes=False)
    line = ProgressLine(f"Writing {'cells' if study.kind == 'ablation' else 'settings'} to MLflow")
    synced = study.sync(arguments.tracking_uri, line, to_stderr)
    print(f"MLflow:  {synced.tracked_at}")
    print("         " + ", ".join(f"{number} {state}" for state, number in synced.counts.items()))
    return 0
