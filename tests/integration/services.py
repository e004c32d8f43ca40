"""What a lab's server runs: MLflow on PostgreSQL, and an S3 store, at one address of the host that this runs on.

    PYTHONPATH=tests:tests/tracking python tests/integration/services.py ADDRESS

prints their URIs as a line of JSON, and runs until its input ends.
"""

from __future__ import annotations

import json
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from mlflow_server import MlflowServer
from postgresql_server import PostgresqlServer, postgresql_programs

from s3_server import s3_server


def serve(address: str) -> None:
    """Start all of it, say where, and wait. Without PostgreSQL on the machine MLflow has SQLite."""
    programs = postgresql_programs()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir="/tmp")))
        backend = f"sqlite:///{folder}/mlflow.db"
        if programs is not None:
            backend = stack.enter_context(PostgresqlServer(programs)).uri
        mlflow = stack.enter_context(MlflowServer(folder, backend, address))
        store = stack.enter_context(s3_server(folder, address))
        print(json.dumps({"mlflow": mlflow.uri, "store": store.uri("hosts")}), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    serve(sys.argv[1])
