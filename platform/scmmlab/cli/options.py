"""Options that several commands share."""

from __future__ import annotations

import argparse


def add_study_options(parser: argparse.ArgumentParser, engine: bool) -> None:
    """Add STUDY, --store, --set and, where something is computed, --engine."""
    parser.add_argument("study", metavar="STUDY", help="a study's YAML file, e.g. ablations/demo.yaml")
    parser.add_argument(
        "--store",
        metavar="URI",
        default="runs",
        help="where results live: a folder, s3://..., gs://... (default: runs)",
    )
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
