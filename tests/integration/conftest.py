"""One Ray for all tests that need one, and what the local engine makes of the same studies."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

# the study of seconds is that of the tests without Ray
sys.path.insert(0, str(Path(__file__).parents[1] / "execution"))

CPUS = 2
OBJECT_STORE = 200 * 2**20


@pytest.fixture(scope="session")
def ray_of_two_cpus() -> Iterator[None]:
    """Ray as the engine starts it, shared: the engine uses what it finds and leaves it running."""
    from scmmlab.execution.ray.session import ray_session

    with ray_session(num_cpus=CPUS, object_store_memory=OBJECT_STORE):
        yield
