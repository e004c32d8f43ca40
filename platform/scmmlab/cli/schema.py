"""`scmmlab schema`: the JSON schema of study files and site files, for editors."""

from __future__ import annotations

import argparse
import json


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser of all commands."""
    parser = subparsers.add_parser(
        "schema",
        help="print the JSON schema of study files or of site files",
        description="Print the JSON schema of study files or of site files. Editors use it to complete and check as "
        "you type.",
    )
    parser.add_argument("of", choices=("study", "site"), nargs="?", default="study", help="default: study")
    parser.set_defaults(func=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the schema."""
    from scmmlab.config.loading import json_schema
    from scmmlab.config.site import site_schema

    print(json.dumps(json_schema() if arguments.of == "study" else site_schema(), indent=2))
    return 0
