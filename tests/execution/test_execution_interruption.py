"""Signals as a request to stop."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from scmmlab.execution.interruption import interruptible


def test_first_signal_is_noted_and_the_second_interrupts():
    with interruptible() as interruption:
        os.kill(os.getpid(), signal.SIGTERM)
        assert interruption.requested
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_where_nothing_is_written_the_first_signal_interrupts():
    with interruptible() as interruption:
        with pytest.raises(KeyboardInterrupt), interruption.at_once():
            os.kill(os.getpid(), signal.SIGTERM)
        assert interruption.requested


STUCK = """
import ctypes
from scmmlab.execution import interruption

interruption.AT_ONCE_S = 0.5
libc, mutex = ctypes.CDLL(None), ctypes.create_string_buffer(64)
with interruption.interruptible() as asked, asked.at_once():
    libc.pthread_mutex_lock(mutex)
    print("stuck", flush=True)
    libc.pthread_mutex_lock(mutex)  # for ever, and no signal wakes it
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_what_hears_no_signal_is_ended_all_the_same(number):
    program = subprocess.Popen([sys.executable, "-c", STUCK], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert program.stdout.readline() == "stuck\n"
    time.sleep(0.2)  # it is on its way into the second call, where nothing can be seen of it
    program.send_signal(number)
    _, said = program.communicate(timeout=60)
    assert program.returncode == 130
    assert said == "scmmlab: interrupted. Finished work is kept; run the same command again to resume.\n"
