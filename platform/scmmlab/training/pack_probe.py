"""How many replicas a device should train together: a short measurement of time and memory at 1, 2, 4, 8, … of them."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

import torch

from scmmlab.config import ExperimentSpec
from scmmlab.config.code_digest import NUMERICS_VERSION
from scmmlab.config.experiment import TrainedStage
from scmmlab.replica.replicas import replica_threads
from scmmlab.replica.shortage import drop_frames, out_of_memory
from scmmlab.training.memory import PeakMemory, free_memory
from scmmlab.training.packs import finetune_pack_size, pretrain_pack_size
from scmmlab.training.rates import StepRunner, steps_of_finetuning, steps_of_pretraining

Bound = Literal["rate", "memory", "work", "time"]

ENOUGH = 0.95
"""Of the sizes whose rate is at least this share of the best, the smallest is chosen: small packs are spread better."""
GAIN = 1.03
"""Twice the replicas are worth a try as long as one of the last two doublings brought so much."""
ROOM = 0.8
"""Share of the free memory that a pack may take; tables and the rest of the program want some of it."""
SHARE_OF_WORK = 0.03
"""A measurement may take this share of the time of the work that it is for."""
SECONDS = 0.2
"""Each size is measured for so long, or for one epoch of the probe."""
MOST = 256
"""Larger packs are not tried."""


@dataclass(frozen=True)
class Workload:
    """What packs are to be made of."""

    kind: TrainedStage
    """The stage."""
    experiment: ExperimentSpec
    """Its network, batch sizes, masks and losses decide the work of a step."""
    channels: int
    bands: int
    classes: int
    replicas: int
    """A worker's share of them: no larger pack can be made."""
    steps: float
    """Replica-steps of a worker, all of them."""


@dataclass(frozen=True)
class PackRates:
    """What was measured on a device, and the size that follows from it."""

    kind: TrainedStage
    device: str
    """Its name, and the threads where it is a CPU."""
    size: int
    """Replicas that should train together."""
    bound: Bound
    """Why larger packs were not tried or chosen: they are no faster, there is no memory for them, there is not so much
    work, or the measurement would take too long for it (then the size is the one that is taken where nothing was
    measured)."""
    steps_per_s: dict[int, float] = field(default_factory=dict)
    """Replicas → replica-steps a second."""
    peak_bytes: dict[int, int] = field(default_factory=dict)
    """Replicas → most memory that a pack of them took; empty where that cannot be measured."""
    room_bytes: int | None = None
    """Memory that a pack might take; None where that cannot be told."""
    numerics: str = NUMERICS_VERSION
    torch: str = torch.__version__

    @property
    def bytes_per_replica(self) -> float | None:
        """Memory that one more replica takes."""
        return _slope(self.peak_bytes)

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return {**asdict(self), "bytes_per_replica": self.bytes_per_replica}

    @staticmethod
    def from_json(values: Mapping[str, Any]) -> PackRates:
        """What `to_json` gave, through JSON (whose keys are text)."""
        made: dict[str, Any] = {item.name: values[item.name] for item in fields(PackRates)}
        for name in ("steps_per_s", "peak_bytes"):
            made[name] = {int(size): figure for size, figure in values[name].items()}
        return PackRates(**made)

    def holds_on(self, device: str) -> bool:
        """Whether it was measured on such a device, with these versions."""
        here = (device_name(device), NUMERICS_VERSION, torch.__version__)
        return (self.device, self.numerics, self.torch) == here


def probe_pack_size(workload: Workload, device: str = "cpu", share: float = 1.0) -> PackRates:
    """Measure packs of 1, 2, 4, … replicas on random windows, until more of them bring nothing, or do not fit.

    Parameters
    ----------
    workload : Workload
        What is to be trained.
    device : str
        Where; with the threads that there are for replicas.
    share : float
        The part of a GPU that this process may use.

    Returns
    -------
    PackRates
        With the smallest size whose rate is within 5 % of the best.
    """
    make = steps_of_pretraining if workload.kind == "pretrain" else steps_of_finetuning
    free = free_memory(device, share)
    room = None if free is None else int(ROOM * free)
    peak_memory = PeakMemory(device)
    rates: dict[int, float] = {}
    peaks: dict[int, int] = {}
    bound: Bound = "work"
    spent = 0.0
    for size in _sizes(min(workload.replicas, MOST)):
        if reason := _stop(size, rates, peaks, room, spent, workload.steps):
            bound = reason
            break
        try:
            began = time.perf_counter()
            peak_memory.restart()
            rates[size] = _rate(make, workload, device, size)
            most = peak_memory.most()
            spent += time.perf_counter() - began
        except Exception as error:
            if not out_of_memory(error) or size == 1:
                raise
            drop_frames(error)
            bound = "memory"
            break
        if most is not None:
            peaks[size] = most
    best = max(rates.values())
    size = min(size for size, rate in rates.items() if rate >= ENOUGH * best)
    if bound in ("work", "memory") and size < max(rates):
        bound = "rate"
    if bound == "time":
        usual = pretrain_pack_size(device) if workload.kind == "pretrain" else finetune_pack_size(device)
        size = min(max(usual, size), workload.replicas)
    return PackRates(workload.kind, device_name(device), size, bound, rates, peaks, room)


def _sizes(most: int) -> Iterator[int]:
    """1, 2, 4, … and the most."""
    size = 1
    while size < most:
        yield size
        size *= 2
    yield most


def _stop(
    size: int, rates: Mapping[int, float], peaks: Mapping[int, int], room: int | None, spent: float, steps: float
) -> Bound | None:
    """Why packs of `size` are not to be measured, after smaller ones were; None if they are."""
    if not rates:
        return None
    last = list(rates.values())
    if len(last) >= 3 and max(last[-2:]) < GAIN * max(last[:-2]):
        return "rate"
    if peaks and room is not None:
        largest = max(peaks)
        if peaks[largest] + (_slope(peaks) or 0) * (size - largest) > room:
            return "memory"
    # the next size takes about twice as long as the last one did, which took about half of all so far
    if 2 * spent > SHARE_OF_WORK * steps / max(last):
        return "time"
    return None


def _slope(peaks: Mapping[int, int]) -> float | None:
    """Bytes that one more replica takes."""
    if not peaks:
        return None
    least, largest = min(peaks), max(peaks)
    if least == largest:
        return peaks[least] / least
    return max(0.0, (peaks[largest] - peaks[least]) / (largest - least))


def _rate(make: Callable[..., StepRunner], workload: Workload, device: str, size: int) -> float:
    runner = make(workload.experiment, workload.channels, workload.bands, workload.classes, device, size)
    return runner.rate(SECONDS)


def device_name(device: str) -> str:
    """`NVIDIA H200`, or `Intel(R) Xeon(R) Processor, 1 thread`."""
    if torch.device(device).type == "cuda":
        return str(torch.cuda.get_device_name(device))
    threads = replica_threads()
    return f"{cpu_name()}, {threads} thread{'s' if threads != 1 else ''}"


def cpu_name() -> str:
    """The processor's own name where Linux gives it, else its architecture."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())
