"""How fast training steps run here, and how near that is to this machine's matrix-multiply ceiling.

A step is what training does over and over: draw masks, compute losses and gradients, step the optimiser. On a GPU it is
the very step that packs train with, from gathering the windows on, replayed as a CUDA graph. The ceiling is the step's
matrix multiplications alone. All are timed in turn, round by round, so that a busy moment meets all of them.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from scmmlab.methods.scmm.finetune_step import FinetuneEpoch, FinetuneStep
from scmmlab.methods.scmm.finetuning import finetuning_gradient
from scmmlab.methods.scmm.masking import masks
from scmmlab.methods.scmm.pack_settings import PackSettings
from scmmlab.methods.scmm.parameters import initial_classifier, initial_pretraining
from scmmlab.methods.scmm.pretrain_step import PretrainEpoch, PretrainStep, epoch_streams
from scmmlab.methods.scmm.pretraining import pretraining_gradient
from scmmlab.methods.scmm.shape import Shape
from scmmlab.methods.scmm.spec import ScmmSpec
from scmmlab.replica.convolution import conv_length
from scmmlab.replica.cuda_graph import CudaGraph
from scmmlab.replica.kernel_stats import KernelStats
from scmmlab.replica.learner import Learner
from scmmlab.replica.optimizer import Adam
from scmmlab.replica.pooling import pooled_length
from scmmlab.replica.precision import check_precision, multiplications
from scmmlab.replica.random import uniform
from scmmlab.replica.replicas import threads_for_replicas
from scmmlab.replica.shortage import drop_frames, out_of_memory
from scmmlab.replica.windows import Scaling
from scmmlab.training.memory import PeakMemory

CHANNELS, BANDS, CLASSES = 62, 5, 3
"""Sizes of SEED."""

PUBLISHED = ScmmSpec()
"""Settings of the steps."""

BURST = 0.05
"""Seconds that a task runs before the next has its turn."""

CPU_PACKS, GPU_PACKS = (1, 2, 4, 8, 15), (1, 2, 4, 8, 16, 32, 64)
"""Replicas of the packs that are measured."""

QUICK = {"cpu": (1, 4), "cuda": (1, 64)}
"""Those of them that a quick measurement has."""

GPU_STEPS = 32
"""Steps of an epoch on a GPU; SEED has up to 596."""

Product = tuple[int, int, int]
"""A matrix multiplication of one replica: (m, k) times (k, n)."""


@dataclass(frozen=True)
class TimedSteps:
    """Steps of a pack, and the multiplications in them."""

    run: Callable[[], object]
    """Takes `steps` of them."""
    products: Sequence[Product]
    """Of one replica's step."""
    operations: Callable[[], KernelStats]
    """What a step sends to the device."""
    steps: int = 1
    no_graph_reason: Callable[[], str | None] = lambda: "a CPU has no CUDA graphs"
    """Why the steps were not replayed as a CUDA graph; None where they were."""
    learned: Sequence[Tensor] = ()
    """Parameters, as they become."""


def benchmark(
    device: torch.device | str = "cpu", quick: bool = False, threads: int = 1, precision: str = "float32"
) -> dict[str, Any]:
    """Measure pre-training and fine-tuning steps at the published settings.

    Pre-training: 256 windows and their 256 masked copies, 62 channels × 5 bands, width 128. Fine-tuning: 128 windows.

    Parameters
    ----------
    device : device or str
        Where to measure.
    quick : bool
        Fewer rounds and fewer packs.
    threads : int
        Threads of a CPU; set for the time of the measurement.
    precision : {"float32", "bf16", "tf32"}
        Of the multiplications: a setting of studies, or TF32, which only a GPU has and studies do not use.

    Returns
    -------
    dict
        ``pretrain`` and ``finetune``, each with

        - ``single``: steps/s of one replica, as it is trained;
        - ``packed``: replicas of the pack → replica-steps/s;
        - ``share_of_matmul_ceiling``: time of the multiplications / time of the step, of one replica; ``shares``: of
          each pack;
        - ``kernels_per_step``: operations that a step of all replicas sends to the device, by pack; ``bytes_per_step``:
          what they read and write, as if no cache held any of it;
        - ``graph``: ``captured``, or why the steps were not replayed as a CUDA graph;
        - on a GPU ``eager_single``: steps/s of one replica whose kernels are launched one by one, ``speedup`` of the
          largest pack, ``peak_bytes``: replicas → most memory, and ``out_of_memory``: packs that did not fit;
        - ``milliseconds``: the medians behind the rates, of a step of all replicas.

        Beside them, what the machine is.
    """
    device = torch.device(device)
    check_precision(precision, device.type)
    gpu = device.type == "cuda"
    if gpu:
        torch.cuda.init()  # before its memory is asked about
    packs = QUICK[device.type] if quick else GPU_PACKS if gpu else CPU_PACKS
    experiment = ScmmSpec(precision="bf16") if precision == "bf16" else ScmmSpec()
    operands = torch.bfloat16 if precision == "bf16" else torch.float32
    rounds = 5 if quick else 25
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with multiplications(precision):
            rates = {
                kind: _measure(partial(make, experiment=experiment), packs, rounds, device, operands)
                for kind, make in (
                    ("pretrain", pretraining_epoch if gpu else pretraining_workload),
                    ("finetune", finetuning_epoch if gpu else finetuning_workload),
                )
            }
    finally:
        torch.set_num_threads(before)
    return {
        **rates,
        "threads": threads,
        "device": torch.cuda.get_device_name(device) if gpu else platform.processor() or "cpu",
        "torch": torch.__version__,
        "dtype": "float32",
        "precision": precision,
    }


def _measure(
    make: Callable[..., TimedSteps],
    packs: Sequence[int],
    rounds: int,
    device: torch.device,
    operands: torch.dtype = torch.float32,
) -> dict[str, Any]:
    made, peaks, missing = _workloads(make, packs, device)
    single = made[1]
    tasks: dict[str, tuple[Callable[[], object], int]] = {}
    for size, workload in made.items():
        tasks[f"step {size}"] = workload.run, workload.steps
        if size == 1 or device.type == "cuda":
            tasks[f"matmul {size}"] = multiplications_of(workload.products, size, device, operands), 1
    if device.type == "cuda":
        eager = make(1, device, cuda_graph=False)
        tasks["eager"] = eager.run, eager.steps
    seconds = interleaved({name: run for name, (run, _) in tasks.items()}, rounds, device)
    milliseconds = {name: 1e3 * median(seconds[name]) / steps for name, (_, steps) in tasks.items()}
    rates = {size: 1e3 * size / milliseconds[f"step {size}"] for size in made}
    # on a CPU replicas are computed one after the other, so that a pack's ceiling is that of one
    shares = {
        size: milliseconds.get(f"matmul {size}", size * milliseconds["matmul 1"]) / milliseconds[f"step {size}"]
        for size in made
    }
    sent = {size: workload.operations() for size, workload in made.items()}
    found: dict[str, Any] = {
        "single": rates[1],
        "packed": _by_size(rates),
        "share_of_matmul_ceiling": shares[1],
        "shares": _by_size(shares),
        "kernels_per_step": _by_size({size: own.total for size, own in sent.items()}),
        "bytes_per_step": _by_size({size: own.bytes for size, own in sent.items()}),
        "graph": single.no_graph_reason() or "captured",
        "milliseconds": milliseconds,
    }
    if device.type == "cuda":
        eager_single, largest = 1e3 / milliseconds["eager"], max(made)
        found |= {
            "eager_single": eager_single,
            "speedup": {
                "single_over_eager": rates[1] / eager_single,
                f"pack_of_{largest}_over_eager": rates[largest] / eager_single,
                f"pack_of_{largest}_over_single": rates[largest] / rates[1],
            },
            "peak_bytes": _by_size(peaks),
            "out_of_memory": missing,
        }
    return found


def _by_size(values: Mapping[int, Any]) -> dict[str, Any]:
    return {str(size): value for size, value in values.items()}


def _workloads(
    make: Callable[..., TimedSteps], packs: Sequence[int], device: torch.device
) -> tuple[dict[int, TimedSteps], dict[int, int], list[int]]:
    """Packs that have run once, the most memory that each took on a GPU, and those for which there was none."""
    made: dict[int, TimedSteps] = {}
    peaks: dict[int, int] = {}
    for number, size in enumerate(packs):
        try:
            peak_memory = PeakMemory(device) if device.type == "cuda" else None
            if peak_memory:
                peak_memory.restart()
            workload = make(size, device)
            workload.run()
            _wait(device)
            if peak_memory and (most := peak_memory.most()) is not None:
                peaks[size] = most
        except Exception as error:
            if not out_of_memory(error) or not made:
                raise
            drop_frames(error)
            return made, peaks, list(packs[number:])
        made[size] = workload
    return made, peaks, []


def interleaved(tasks: Mapping[str, Callable[[], object]], rounds: int, device: torch.device) -> dict[str, list[float]]:
    """Seconds of each task in each round. All tasks run in turn, each for about `BURST`, as it would in training."""
    repeats = {name: max(1, round(BURST / _seconds(task, 2, device))) for name, task in tasks.items()}
    times: dict[str, list[float]] = {name: [] for name in tasks}
    for _ in range(rounds):
        for name, task in tasks.items():
            times[name].append(_seconds(task, repeats[name], device))
    return times


def _seconds(task: Callable[[], object], repeats: int, device: torch.device) -> float:
    """Mean time of some repetitions, after one that fills the caches again."""
    task()
    _wait(device)
    start = time.perf_counter()
    for _ in range(repeats):
        task()
    _wait(device)
    return (time.perf_counter() - start) / repeats


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def pretraining_workload(
    replicas: int, device: torch.device, batch: int = 256, experiment: ScmmSpec = PUBLISHED
) -> TimedSteps:
    """A pre-training step of a pack at the published settings, one view, as a CPU takes it, of windows at hand."""
    shape = Shape(CHANNELS, BANDS)
    dtype, seed_R, x_RBCF = torch.float32, _seeds(replicas, device), _windows(replicas, batch, device)
    settings = PackSettings.stack([experiment] * replicas, [False] * replicas, device, dtype)
    parameters = initial_pretraining(shape, seed_R, device, dtype)
    optimizer = experiment.pretrain.optimizer
    adam = Adam(parameters.values, [optimizer] * replicas)
    rate_R = torch.full((replicas,), optimizer.learning_rate, device=device, dtype=dtype)

    def step() -> None:
        with threads_for_replicas(replicas, device):
            keep_RMCF = masks(settings, seed_R, 0, 0, batch, CHANNELS, BANDS)
            _, gradient = pretraining_gradient(parameters, x_RBCF, keep_RMCF, settings)
            adam.step(parameters.values, gradient, rate_R)

    return TimedSteps(step, _pretraining_products(shape, batch), partial(_counted, step))


def finetuning_workload(
    replicas: int, device: torch.device, batch: int = 128, experiment: ScmmSpec = PUBLISHED
) -> TimedSteps:
    """A fine-tuning step of a pack of folds at the published settings, as a CPU takes it, of windows at hand."""
    shape = Shape(CHANNELS, BANDS, classes=CLASSES)
    dtype, seed_R, x_RBCF = torch.float32, _seeds(replicas, device), _windows(replicas, batch, device)
    label_RB = (uniform(seed_R, "labels", 0, 0, batch) * CLASSES).to(torch.int64)
    encoder = initial_pretraining(shape, seed_R, device, dtype).part("encoder.")
    classifier = initial_classifier(shape, seed_R, device, dtype)
    optimizer = experiment.finetune.optimizer
    adams = [Adam(parameters.values, [optimizer] * replicas) for parameters in (encoder, classifier)]
    rate_R = torch.full((replicas,), optimizer.learning_rate, device=device, dtype=dtype)

    def step() -> None:
        with threads_for_replicas(replicas, device):
            found = finetuning_gradient(encoder, classifier, x_RBCF, label_RB, precision=experiment.precision)
            for adam, parameters, gradient in zip(adams, (encoder, classifier), found[2:], strict=True):
                adam.step(parameters.values, gradient, rate_R)

    return TimedSteps(step, _finetuning_products(shape, batch), partial(_counted, step))


def _counted(step: Callable[[], None]) -> KernelStats:
    # in this thread alone: operations of others are not seen
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with KernelStats() as found:
            step()
    finally:
        torch.set_num_threads(threads)
    return found


def pretraining_epoch(
    replicas: int,
    device: torch.device,
    cuda_graph: bool = True,
    batch: int = 256,
    steps: int = GPU_STEPS,
    experiment: ScmmSpec = PUBLISHED,
) -> TimedSteps:
    """The same step as packs take it on a GPU: an epoch of them, over windows that lie on the device."""
    shape = Shape(CHANNELS, BANDS)
    seed_R, optimizer = _seeds(replicas, device), experiment.pretrain.optimizer
    parameters = initial_pretraining(shape, seed_R, device, torch.float32)
    step = PretrainStep(
        Learner(parameters, [optimizer] * replicas),
        PackSettings.stack([experiment] * replicas, [False] * replicas, device, torch.float32),
        RandomWindows(steps * batch, device),
        _unscaled(replicas, device),
        batch,
    )
    epoch = PretrainEpoch(step, steps, cuda_graph)
    rows_SRB, rate_R, active_SR = _everyone(replicas, steps, batch, optimizer.learning_rate, device)
    streams = epoch_streams(seed_R, torch.zeros_like(seed_R), steps)
    run = partial(epoch.run, rows_SRB, streams, active_SR, rate_R)
    products = _pretraining_products(shape, batch)
    return TimedSteps(run, products, epoch.operations, steps, lambda: epoch.no_graph_reason, (parameters.values,))


def finetuning_epoch(
    replicas: int,
    device: torch.device,
    cuda_graph: bool = True,
    batch: int = 128,
    steps: int = GPU_STEPS,
    experiment: ScmmSpec = PUBLISHED,
) -> TimedSteps:
    """The same step as packs of folds take it on a GPU."""
    shape = Shape(CHANNELS, BANDS, classes=CLASSES)
    seed_R, optimizer = _seeds(replicas, device), experiment.finetune.optimizer
    encoder = initial_pretraining(shape, seed_R, device, torch.float32).part("encoder.")
    classifier = initial_classifier(shape, seed_R, device, torch.float32)
    learners = {
        name: Learner(parameters, [optimizer] * replicas)
        for name, parameters in (("encoder", encoder), ("classifier", classifier))
    }
    windows = RandomWindows(steps * batch, device)
    step = FinetuneStep(encoder, classifier, learners, windows, _unscaled(replicas, device), experiment.precision)
    epoch = FinetuneEpoch(step, steps, batch, cuda_graph)
    rows_SRB, rate_R, active_SR = _everyone(replicas, steps, batch, optimizer.learning_rate, device)
    real_SRB = torch.ones_like(rows_SRB, dtype=torch.bool)
    run = partial(epoch.run, rows_SRB, rows_SRB % CLASSES, real_SRB, active_SR, rate_R)
    products, learned = _finetuning_products(shape, batch), (encoder.values, classifier.values)
    return TimedSteps(run, products, epoch.operations, steps, lambda: epoch.no_graph_reason, learned)


def _everyone(
    replicas: int, steps: int, batch: int, rate: float, device: torch.device
) -> tuple[Tensor, Tensor, Tensor]:
    """Rows of each step, another order for each replica; step sizes; and who takes each step: all."""
    order_RN = uniform(_seeds(replicas, device), "order", 0, 0, steps * batch).argsort(1)
    rows_SRB = order_RN.view(replicas, steps, batch).transpose(0, 1).contiguous()
    rate_R = torch.full((replicas,), rate, device=device)
    return rows_SRB, rate_R, torch.ones(steps, replicas, dtype=torch.bool, device=device)


def _unscaled(replicas: int, device: torch.device) -> Scaling:
    """(x − 0) / 1: the work of scaling all the same."""
    numbers = torch.zeros(replicas, 1, CHANNELS, BANDS, device=device)
    return Scaling(numbers, torch.ones_like(numbers))


class RandomWindows:
    """Uniform random windows that lie on the device."""

    def __init__(self, count: int, device: torch.device):
        self.windows = uniform(_seeds(1, device), "windows", 0, 0, count * CHANNELS * BANDS).view(-1, CHANNELS, BANDS)

    def first_row(self, array: NDArray[np.float32]) -> int:
        """0: they are one array."""
        return 0

    def gather(self, rows_RN: Tensor) -> Tensor:
        """The windows of these rows, [R, N, C, F]."""
        return self.windows.index_select(0, rows_RN.reshape(-1)).view(*rows_RN.shape, CHANNELS, BANDS)


def _pretraining_products(shape: Shape, batch: int) -> list[Product]:
    rows, numbers, d, e = 2 * batch, CHANNELS * BANDS, shape.width, shape.embedding
    return [
        *_encoder_products(shape, rows),
        *_dense_products(2 * d, e, rows),
        *_dense_products(d, 2 * d, rows),
        *_dense_products(numbers, e, rows),
        # similarities of projections and of inputs; the aggregation; their gradients
        (rows, d, rows),
        (d, rows, rows),
        (d, rows, rows),
        (rows, numbers, rows),
        (rows, rows, numbers),
        (rows, numbers, rows),
        (rows, rows, numbers),
    ]


def _finetuning_products(shape: Shape, batch: int) -> list[Product]:
    return [
        *_encoder_products(shape, batch),
        *_dense_products(shape.classifier_width, shape.embedding, batch),
        *_dense_products(CLASSES, shape.classifier_width, batch),
    ]


def _dense_products(outputs: int, inputs: int, rows: int) -> list[Product]:
    """A layer forward, the gradient of its matrix, and of its input."""
    return [(outputs, inputs, rows), (outputs, rows, inputs), (inputs, outputs, rows)]


def _encoder_products(shape: Shape, rows: int) -> list[Product]:
    products: list[Product] = []
    points = shape.bands
    for block, (inputs, outputs) in enumerate(shape.blocks):
        length = conv_length(points)
        layer = _dense_products(outputs * length, inputs * points, rows)
        # nobody asks for the gradient of the windows
        products += layer if block else layer[:2]
        points = pooled_length(length)
    return products


def multiplications_of(
    products: Sequence[Product], replicas: int, device: torch.device, operands: torch.dtype = torch.float32
) -> Callable[[], None]:
    """A task that does `products` for each replica and nothing else, replayed as a CUDA graph on a GPU."""
    pairs = [
        tuple(torch.rand(replicas, *size, device=device).to(operands) for size in ((m, k), (k, n)))
        for m, k, n in products
    ]

    def multiply() -> None:
        for left, right in pairs:
            torch.bmm(left, right)

    graph = CudaGraph(device)
    graph.prepare(multiply, lambda: None)
    return partial(graph.run, multiply)


def _seeds(replicas: int, device: torch.device) -> Tensor:
    return torch.arange(replicas, device=device)


def _windows(replicas: int, batch: int, device: torch.device) -> Tensor:
    drawn = uniform(_seeds(replicas, device), "windows", 0, 0, batch * CHANNELS * BANDS)
    return drawn.view(replicas, batch, CHANNELS, BANDS)
