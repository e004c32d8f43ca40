"""`scmmlab doctor`: problems and security risks of this machine, and how to fix them."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from scmmlab.cli.options import add_study_options, study_of
from scmmlab.cli.tracking import add_tracking_option


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser of all commands."""
    parser = subparsers.add_parser(
        "doctor",
        help="check this machine for problems and security risks",
        description="Check for versions with known vulnerabilities, Ray's token, open ports, the MLflow server, who "
        "can read the data, file systems, memory, cores and disk; with STUDY, against what the study asks for. "
        "Print one line per check, with a fix. Exit status 1 if a check is bad.",
    )
    add_study_options(parser, engine=False, optional=True)
    add_tracking_option(parser)
    parser.add_argument(
        "--data",
        metavar="DIR",
        action="append",
        default=[],
        help="folder of recordings, to check who can read it; may be repeated",
    )
    parser.set_defaults(func=run, joins_ray=True)


def run(arguments: argparse.Namespace) -> int:
    """Print a line for each check."""
    from scmmlab.doctor import Level, Subject, examine
    from scmmlab.study.files import Files
    from scmmlab.tracking import default_tracking_uri

    plan = study_of(arguments, with_notes=False).resolved if arguments.study is not None else None
    store = Files(arguments.store).local
    uri = arguments.tracking_uri
    if not uri and store is not None:
        uri = default_tracking_uri(store / "studies" / (plan.study.name if plan else ""))
    counts = dict.fromkeys(Level, 0)
    recordings = tuple(map(Path, arguments.data))
    for finding in examine(Subject(os.environ, plan, store, uri or "", recordings)):
        counts[finding.level] += 1
        print(finding, flush=True)
    print(", ".join(f"{count} {level.value}" for level, count in counts.items()))
    return 1 if counts[Level.BAD] else 0
