"""The option `--tracking-uri`: which MLflow a command writes to."""

from __future__ import annotations

import argparse


def add_tracking_option(parser: argparse.ArgumentParser) -> None:
    """Add --tracking-uri."""
    parser.add_argument(
        "--tracking-uri",
        metavar="URI",
        help="MLflow server or database, or 'none' (default: SCMMLAB_TRACKING_URI or MLFLOW_TRACKING_URI, else the "
        "site file's, else SQLite in the study's folder)",
    )
