"""Whether Ray's head is there, and what becomes of a program that waits inside Ray for one that is not."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest

from scmmlab.errors import TryAgainError
from scmmlab.execution.ray import head_watch
from scmmlab.execution.ray.head_watch import HeadWatch

WAITS_INSIDE_RAY = """
import sys, threading
from scmmlab.execution.ray import head_watch
head_watch.LOOK_S, head_watch.GONE_S, head_watch.HANG_S = 0.01, 0.02, 0.03
head_watch.HeadWatch(sys.argv[1], "/the/logs").start()
print("asks", flush=True)
threading.Event().wait()
"""


@pytest.fixture
def head():
    """A port that takes connections, as a head's does."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def address_of(server: socket.socket) -> str:
    return f"127.0.0.1:{server.getsockname()[1]}"


def test_a_program_that_waits_inside_ray_for_a_lost_head_is_ended_with_a_message_and_may_be_tried_again(head):
    command = [sys.executable, "-c", WAITS_INSIDE_RAY, address_of(head)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as waiting:
        assert waiting.stdout is not None
        assert waiting.stdout.readline() == "asks\n"
        assert waiting.poll() is None, "the head answers"
        address = address_of(head)
        head.close()
        _, said = waiting.communicate()
    assert waiting.returncode == os.EX_TEMPFAIL
    assert said.startswith(f"scmmlab: Ray's head at {address} is lost: ")
    assert "Hint: finished work is kept" in said
    assert "/the/logs" in said


def test_a_head_is_given_up_by_the_time_since_it_was_first_asked_in_vain(head, monkeypatch):
    """Not since it last answered: a program that was suspended for an hour finds nothing lost."""
    now = 1000.0
    monkeypatch.setattr(head_watch.time, "monotonic", lambda: now)
    watch = HeadWatch(address_of(head), "/the/logs")
    rounds = iter(["answers", "an hour later, in vain", "a little later, in vain"])

    def next_round(seconds: float) -> bool:
        nonlocal now
        match next(rounds, None):
            case None:
                return True
            case "an hour later, in vain":
                now += 3600.0
                head.close()
            case "a little later, in vain":
                watch.check()  # raises nothing
                assert watch.silent
                now += head_watch.GONE_S + 1
        return False

    monkeypatch.setattr(watch._stop, "wait", next_round)
    watch.run()
    with pytest.raises(TryAgainError, match="it has not answered for 30 s"):
        watch.check()
