"""A Ray of our own that is slow to start, or does not."""

from __future__ import annotations

import os

import pytest
import ray

from scmmlab.errors import TryAgainError
from scmmlab.execution.ray import private, session


def test_a_ray_that_registers_late_is_waited_for(monkeypatch):
    late = iter([RuntimeError("not yet"), RuntimeError("not yet"), {"node": "info"}])

    def get_node(gcs_address, node_id):
        told = next(late)
        if isinstance(told, Exception):
            raise told
        return told

    monkeypatch.setattr(ray._private.services, "get_node", get_node)
    with private.time_to_register(90):
        assert ray._private.services.get_node("127.0.0.1:1", "abc") == {"node": "info"}
    assert ray._private.services.get_node is get_node


def test_a_ray_that_does_not_start_in_time_may_start_the_next_time(monkeypatch):
    def init(**options):
        raise Exception("The current node timed out during startup. This could happen because ...")  # as Ray does

    monkeypatch.setattr(ray, "init", init)
    with pytest.raises(TryAgainError, match="Ray did not start on this machine within 90 s") as raised:
        session._start(num_cpus=1)
    assert raised.value.exit_status == os.EX_TEMPFAIL
