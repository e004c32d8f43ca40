"""The first step of a process gives a replica the bits of every other, whichever threads are first."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

AT_ONCE, STARTS = 3, 15
"""Programs that compete for the cores, and starts of each. Without what `replicas` does before its threads start, one
start in twenty to sixty was another where OMP_NUM_THREADS is 1, as Ray sets it.
"""

PROGRAM = """
import os, sys
import torch
from scmmlab.methods.scmm.masking import masks
from scmmlab.methods.scmm.pack_settings import PackSettings
from scmmlab.methods.scmm.parameters import initial_pretraining
from scmmlab.methods.scmm.pretraining import pretraining_gradient
from scmmlab.methods.scmm.shape import Shape
from scmmlab.methods.scmm.spec import ScmmSpec
from scmmlab.replica.random import uniform
from scmmlab.replica.replicas import threads_for_replicas

def gradient(parameters, x, settings, seed):
    with threads_for_replicas(4, x.device):
        keep = masks(settings, seed, 0, 0, 256, 19, 5)
        return pretraining_gradient(parameters, x, keep, settings)[1].clone()

def first_equals_second():
    torch.set_num_threads(2)
    seed, settings = torch.arange(4), PackSettings.stack([ScmmSpec()] * 4, [False] * 4, "cpu", torch.float32)
    x = uniform(seed, "x", 0, 0, 256 * 95).view(4, 256, 19, 5).clone()
    parameters = initial_pretraining(Shape(19, 5), seed, "cpu", torch.float32)
    first = gradient(parameters, x, settings, seed)
    return torch.equal(first, gradient(parameters, x, settings, seed))

for _ in range(int(sys.argv[1])):
    child = os.fork()  # nothing was computed yet, so each child's first call is a first one
    if child == 0:
        os._exit(0 if first_equals_second() else 1)
    if os.waitpid(child, 0)[1]:
        sys.exit("the first step was another")
"""


@pytest.mark.slow
def test_the_first_step_of_a_process_is_the_second_to_the_last_bit():
    command, environment = [sys.executable, "-c", PROGRAM, str(STARTS)], {**os.environ, "OMP_NUM_THREADS": "1"}
    programs = [subprocess.Popen(command, stderr=subprocess.PIPE, env=environment) for _ in range(AT_ONCE)]
    assert [program.communicate()[1] for program in programs] == [b""] * AT_ONCE
    assert [program.returncode for program in programs] == [0] * AT_ONCE
