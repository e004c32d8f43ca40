"""`scmmlab site`: the resolved settings of a site, each with its source."""

from __future__ import annotations

import argparse
import json
import shlex
from typing import Any

from scmmlab.cli.options import add_site_option
from scmmlab.errors import SpecError, nearest

_SHOWN = 10
"""A message names so many partitions, at most."""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser of all commands."""
    parser = subparsers.add_parser(
        "site",
        help="show where results go, which Ray and MLflow are used, and where that is set",
        description="Show every setting of a site and its source: an environment variable, the site file, or a "
        "default. Options of a command override all of them. With PATH, print only that value, for scripts.",
    )
    parser.add_argument(
        "path", metavar="PATH", nargs="?", help="print one value, e.g. store or images.cpu; exit status 1 if unset"
    )
    add_site_option(parser)
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--json", action="store_true", help="print path, value and source of each setting as JSON")
    how.add_argument("--sbatch", metavar="PARTITION", help="print the sbatch options for a partition")
    parser.set_defaults(func=run)


def run(arguments: argparse.Namespace) -> int:
    """Print it."""
    from scmmlab.study.storage_location import without_password

    site = arguments.resolved_settings
    settings = list(site.settings())
    if arguments.sbatch is not None:
        partitions = site.spec.partitions
        if arguments.sbatch not in partitions:
            raise _unknown("partition", arguments.sbatch, list(partitions))
        print(shlex.join(partitions[arguments.sbatch].sbatch_options()))
        return 0
    if arguments.path is not None:
        by_path = {setting.path: setting.value for setting in settings}
        if arguments.path not in by_path:
            raise _unknown("value", arguments.path, list(by_path))
        value = by_path[arguments.path]
        if value is not None:
            print(_shown(value))
        return 0 if value is not None else 1
    # a password can only have come from the environment
    shown = [
        (s.path, without_password(s.value) if isinstance(s.value, str) else s.value, s.source)
        for s in settings
        if s.source != "default" or s.path.partition(".")[0] not in ("partitions", "images")
    ]
    if arguments.json:
        print(json.dumps([{"path": path, "value": value, "source": source} for path, value, source in shown], indent=1))
        return 0
    rows = [(path, "–" if value is None else _shown(value), source) for path, value, source in shown]
    wide, wider = (max(len(row[column]) for row in rows) for column in (0, 1))
    for path, text, source in rows:
        print(f"{path:<{wide}}  {text:<{wider}}  {source}")
    return 0


def _shown(value: Any) -> str:
    return " ".join(value) if isinstance(value, tuple) else f"{value:g}" if isinstance(value, float) else str(value)


def _unknown(what: str, name: str, known: list[str]) -> SpecError:
    guess = nearest(name, known)
    there = f"; its {what}s are {', '.join(known)}" if 0 < len(known) <= _SHOWN else ""
    return SpecError(
        f"The site has no {what} {name!r}{there}.",
        hint=f"did you mean {guess!r}?" if guess else "scmmlab site shows what there is",
    )
