"""`scmmlab rerun`: recompute a finished cell, and compare."""

from __future__ import annotations

import argparse

from scmmlab.cli.options import add_store_option, study_of

_SHOWN = 20


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser of all commands."""
    parser = subparsers.add_parser(
        "rerun",
        help="recompute a finished cell and compare it with its record, digit by digit",
        description="Recompute a finished cell from its record, pre-training included, and compare the figures with "
        "the stored ones, digit by digit. Nothing is written to the store. Exit status 1 if a figure differs, as it "
        "may on another kind of processor or with other library versions.",
    )
    parser.add_argument(
        "cell",
        metavar="CELL",
        help="a key, a prefix of one, or variant/transfer/seed, as listed by scmmlab plan --json",
    )
    parser.add_argument("--study", metavar="STUDY", required=True, help="the study's YAML file")
    add_store_option(parser)
    parser.add_argument(
        "--set",
        metavar="PATH=VALUE",
        action="append",
        default=[],
        help="overrides that the study was run with; may be repeated",
    )
    parser.add_argument(
        "--engine",
        choices=("local", "ray"),
        default="local",
        help="local: in this process; ray: on a worker (default: local)",
    )
    parser.set_defaults(func=run, joins_ray=True)


def run(arguments: argparse.Namespace) -> int:
    """Compute it, and say what differs."""
    rerun = study_of(arguments, with_notes=False).rerun(arguments.cell, arguments.engine)
    found, name = rerun.differences, f"{rerun.cell.name} ({rerun.cell.key})"
    if not found:
        print(f"{name}: identical to the last digit.")
        return 0
    differ = "1 figure of the record differs" if len(found) == 1 else f"{len(found)} figures of the record differ"
    print(f"{name}: {differ}.")
    for difference in found[:_SHOWN]:
        print(f"  {difference}")
    if len(found) > _SHOWN:
        print(f"  and {len(found) - _SHOWN} more")
    return 1
