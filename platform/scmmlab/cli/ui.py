"""`scmmlab ui`: the MLflow UI on a study."""

from __future__ import annotations

import argparse

from scmmlab.cli.options import add_study_options, to_stderr


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser of all commands."""
    parser = subparsers.add_parser(
        "ui",
        help="open a study in the MLflow UI",
        description="Serve the MLflow UI for a study on this machine's loopback address, until interrupted.",
    )
    add_study_options(parser, engine=False)
    parser.add_argument("--tracking-uri", metavar="URI", help="MLflow database or server (default: as for run)")
    parser.add_argument("--port", type=int, default=5000, help="TCP port (default: 5000)")
    parser.set_defaults(func=run)


def run(arguments: argparse.Namespace) -> int:
    """Serve until interrupted."""
    from scmmlab.api.recording import find_artifacts, owner_of
    from scmmlab.config.loading import load_study
    from scmmlab.errors import StoreError
    from scmmlab.study import ResultStore, known_identity
    from scmmlab.study.storage_location import without_password
    from scmmlab.tracking import default_tracking_uri, shown_uri, study_page
    from scmmlab.tracking.mounts import refuse_sqlite_over_network
    from scmmlab.tracking.ui import serve, ui_command

    study = load_study(arguments.study, arguments.set).study
    uri, store = arguments.tracking_uri, ResultStore(arguments.store)
    of_study = store.study_folder(study.name)
    if uri is None:
        folder = of_study.local if of_study.has("mlflow.db") else None
        if folder is None:
            place = without_password(arguments.store)
            raise StoreError(
                f"There is no MLflow data of study '{study.name}' in {place}.",
                hint=f"scmmlab run {arguments.study} --store {place}, or name --tracking-uri",
            )
        uri = default_tracking_uri(folder)
    if uri.startswith("http"):
        print(f"MLflow runs at {shown_uri(uri)}")
        return 0
    refuse_sqlite_over_network(uri)
    if arguments.tracking_uri is None:
        find_artifacts(uri, to_stderr)
    owner = owner_of(store, study.name, known_identity(of_study))
    print(f"MLflow: {study_page(uri, study.name, arguments.port, owner)}  (Ctrl-C to stop)", flush=True)
    return serve(ui_command(uri, arguments.port))
