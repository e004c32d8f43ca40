"""Options that several commands share."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from scmmlab.errors import SpecError

if TYPE_CHECKING:  # a command imports what it needs
    from scmmlab.api.study import Study
    from scmmlab.study import Shard


def device_name(text: str) -> str:
    """A device that this machine has, for argparse to refuse any other."""
    import torch

    cards = torch.cuda.device_count()
    known = ["cpu", *(["cuda"] if cards else []), *(f"cuda:{number}" for number in range(cards))]
    if text not in known:
        raise argparse.ArgumentTypeError(f"this machine has {', '.join(known)}, got {text!r}.")
    return text


def positive_number(text: str) -> int:
    """A whole number from 1 on."""
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"it must be a whole number of at least 1, got {text!r}.")
    return int(text)


def part_of_study(text: str) -> Shard:
    """A part such as 3/8."""
    from scmmlab.study import Shard

    try:
        return Shard.parse(text)
    except SpecError as error:
        raise argparse.ArgumentTypeError(error.message) from None


def add_part_option(parser: argparse.ArgumentParser, help: str) -> None:
    """Add --part."""
    parser.add_argument("--part", metavar="K/N", type=part_of_study, help=help)


def add_study_options(parser: argparse.ArgumentParser, engine: bool, optional: bool = False) -> None:
    """Add STUDY (which may be `optional`), --store, --set and, where something is computed, --engine."""
    parser.add_argument(
        "study",
        metavar="STUDY",
        nargs="?" if optional else None,
        help="a study's YAML file, e.g. ablations/demo.yaml",
    )
    add_store_option(parser)
    parser.add_argument(
        "--set",
        metavar="PATH=VALUE",
        action="append",
        default=[],
        help="override a value of the study, e.g. base.finetune.epochs=5 or seeds=[0]; may be repeated",
    )
    if engine:
        parser.add_argument(
            "--engine",
            choices=("ray", "local"),
            default="ray",
            help="ray: workers on this machine or on the cluster of RAY_ADDRESS; local: in this process (default: ray)",
        )


def add_store_option(parser: argparse.ArgumentParser) -> None:
    """Add --store and --site, which `resolve_defaults` fills in where they are not given."""
    parser.add_argument(
        "--store",
        metavar="URI",
        help="where results are stored: a folder, s3://..., gs://... (default: SCMMLAB_STORE, else the site file's, "
        "else runs)",
    )
    add_site_option(parser)


def add_site_option(parser: argparse.ArgumentParser) -> None:
    """Add --site."""
    parser.add_argument(
        "--site",
        metavar="FILE",
        help="site file, see cluster/site.example.yaml (default: SCMMLAB_SITE, else none)",
    )


def study_of(arguments: argparse.Namespace, check_folds: bool = False, with_notes: bool = True) -> Study:
    """The study that the command line names, with its store; notes on it go to standard error."""
    from scmmlab.api.study import Study

    return Study.open(
        arguments.study,
        arguments.store,
        set=arguments.set,
        site=arguments.resolved_settings,
        check_folds=check_folds,
        notify=_note if with_notes else _ignore,
    )


def to_stderr(text: str) -> None:
    """Print a sentence on standard error."""
    print(text, file=sys.stderr, flush=True)


def _note(text: str) -> None:
    to_stderr(f"Note: {text}")


def _ignore(text: str) -> None:
    """For a command whose outcome does not depend on it."""
