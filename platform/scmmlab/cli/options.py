"""Options that several commands share."""

from __future__ import annotations

import argparse
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # a command imports what it needs
    from scmmlab.study import Part


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


def part_of_study(text: str) -> Part:
    """A part such as 3/8."""
    from scmmlab.study import Part

    found = re.fullmatch(r"(\d+)/(\d+)", text)
    part = Part(int(found[1]), int(found[2])) if found else None
    if part is None or not 1 <= part.number <= part.of:
        raise argparse.ArgumentTypeError(f"it must be K/N with K from 1 to N, got {text!r}.")
    return part


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
        help="override a value of the study, e.g. base.finetune.epochs=5 or seeds=[0]; may be given several times",
    )
    if engine:
        parser.add_argument(
            "--engine",
            choices=("ray", "local"),
            default="ray",
            help="ray: workers on this machine or on the cluster of RAY_ADDRESS; local: in this process (default: ray)",
        )


def add_store_option(parser: argparse.ArgumentParser) -> None:
    """Add --store and --site, which `settling` fills in where they are not given."""
    parser.add_argument(
        "--store",
        metavar="URI",
        help="where results live: a folder, s3://..., gs://... (default: SCMMLAB_STORE, else the site's, else runs)",
    )
    add_site_option(parser)


def add_site_option(parser: argparse.ArgumentParser) -> None:
    """Add --site."""
    parser.add_argument(
        "--site",
        metavar="FILE",
        help="description of the site, see cluster/site.example.yaml (default: SCMMLAB_SITE, else none)",
    )
