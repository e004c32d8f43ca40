"""Auxiliary tasks that fail, each in its own way; in a module of their own, which workers can import."""

from __future__ import annotations

import os
import resource
import signal
import time
from dataclasses import dataclass

import torch

from scmmlab.execution.task import AuxiliaryTask

GIB = 2**30


@dataclass(frozen=True)
class HasABug(AuxiliaryTask):
    key: str = "bug"

    def run(self, device):
        return {}["no such key"]


@dataclass(frozen=True)
class AsksTheAllocatorForTooMuch(AuxiliaryTask):
    """Within a limit on the process's addresses, as a batch scheduler sets it."""

    key: str = "allocator"

    def run(self, device):
        before = resource.getrlimit(resource.RLIMIT_AS)
        with open("/proc/self/statm", encoding="utf-8") as file:
            taken = int(file.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (taken + GIB // 2, before[1]))
        try:
            return torch.zeros(GIB)
        finally:
            resource.setrlimit(resource.RLIMIT_AS, before)


@dataclass(frozen=True)
class AsksPythonForTooMuch(AuxiliaryTask):
    key: str = "python"

    def run(self, device):
        return bytearray(2**46)


@dataclass(frozen=True)
class IsKilled(AuxiliaryTask):
    key: str = "killed"

    def run(self, device):
        os.kill(os.getpid(), signal.SIGKILL)


@dataclass(frozen=True)
class FillsTheMachine(AuxiliaryTask):
    """Until Ray's memory monitor does something about it."""

    key: str = "fills"

    def run(self, device):
        held = [torch.ones(64 * 2**20 // 4) for _ in range(160)]
        time.sleep(60)
        return held
