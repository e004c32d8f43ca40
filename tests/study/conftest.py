from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from s3_server import S3Server, s3_server

sys.path.insert(0, str(Path(__file__).parents[1] / "training"))  # another_value


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A real S3 server."""
    with s3_server(tmp_path_factory.mktemp("s3")) as server:
        yield server
