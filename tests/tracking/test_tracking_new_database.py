"""A kill while MLflow's database is being made leaves none, and the next run has one."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

MAKE = "import sys; from scmmlab.tracking.mlflow_view import MlflowView; MlflowView(sys.argv[1])"


@pytest.mark.slow
def test_a_database_whose_making_is_killed_is_made_by_the_next(tmp_path):
    file, elsewhere = tmp_path / "study" / "mlflow.db", tmp_path / "elsewhere"
    elsewhere.mkdir()
    uri = f"sqlite:///{file}"
    command = [sys.executable, "-c", MAKE, uri]
    with subprocess.Popen(command, env={**os.environ, "TMPDIR": str(elsewhere)}, stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 240
        while not any(made.stat().st_size for made in elsewhere.rglob("mlflow.db")):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.005)
        process.kill()
    assert not file.exists()
    file.parent.mkdir()
    file.touch()  # SQLite has opened it, and written nothing

    from scmmlab.tracking.mlflow_view import MlflowView

    assert MlflowView(uri).reachable()
    assert [path.name for path in file.parent.iterdir()] == ["mlflow.db"]
