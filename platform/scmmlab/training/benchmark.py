"""The training rates of a machine, single and packed, and how near they are to its matrix-multiply ceiling.

A step here is what training repeats: draw masks, compute losses and gradients, step the optimiser. The ceiling is the
step's matrix multiplications alone. Both are timed in turn, round by round, so that a busy moment meets both.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import torch
from torch import Tensor

from scmmlab.config import ExperimentSpec
from scmmlab.model import (
    Adam,
    Settings,
    Shape,
    finetuning_gradient,
    initial_classifier,
    initial_pretraining,
    masks,
    pretraining_gradient,
    uniform,
)
from scmmlab.model.shape import conv_length, pooled_length

CHANNELS, BANDS, CLASSES = 62, 5, 3
"""Sizes of SEED."""

BURST = 0.05
"""Seconds that a task runs before the next has its turn."""

Product = tuple[int, int, int]
"""A matrix multiplication of one replica: (m, k) times (k, n)."""


@dataclass(frozen=True)
class Workload:
    """A step, and the multiplications in it."""

    step: Callable[[], None]
    products: Sequence[Product]


def benchmark(device: torch.device | str = "cpu", quick: bool = False, threads: int = 1) -> dict[str, Any]:
    """Measure pre-training and fine-tuning steps at the published settings.

    Pre-training: 256 windows and their 256 masked copies, 62 channels × 5 bands, width 128. Fine-tuning: 128 windows.

    Parameters
    ----------
    device : device or str
        Where to measure.
    quick : bool
        Fewer rounds and smaller packs.
    threads : int
        Threads of a CPU; set for the time of the measurement.

    Returns
    -------
    dict
        ``pretrain`` and ``finetune``, each with ``single`` (steps/s of one replica), ``packed`` (replicas of the pack →
        replica-steps/s) and ``share_of_matmul_ceiling`` (time of the multiplications / time of the step, of one
        replica); ``milliseconds`` has the medians behind them. Beside them, what the machine is.
    """
    device = torch.device(device)
    packs = {"pretrain": (4,) if quick else (4, 8), "finetune": (4,) if quick else (4, 15)}
    if device.type != "cpu":
        packs = dict.fromkeys(packs, (16,) if quick else (16, 64))
    rounds = 5 if quick else 25
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        rates = {
            kind: _measure(workload, packs[kind], rounds, device)
            for kind, workload in (("pretrain", pretraining_workload), ("finetune", finetuning_workload))
        }
    finally:
        torch.set_num_threads(before)
    return {
        **rates,
        "threads": threads,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or "cpu",
        "torch": torch.__version__,
        "dtype": "float32",
    }


def _measure(
    workload: Callable[[int, torch.device], Workload], packs: Sequence[int], rounds: int, device: torch.device
) -> dict[str, Any]:
    single = workload(1, device)
    tasks = {"step": single.step, "matmul": multiplications(single.products, 1, device)}
    tasks |= {f"pack of {size}": workload(size, device).step for size in packs}
    times = interleaved(tasks, rounds, device)
    milliseconds = {name: 1e3 * median(seconds) for name, seconds in times.items()}
    return {
        "single": 1e3 / milliseconds["step"],
        "packed": {str(size): 1e3 * size / milliseconds[f"pack of {size}"] for size in packs},
        "share_of_matmul_ceiling": milliseconds["matmul"] / milliseconds["step"],
        "milliseconds": milliseconds,
    }


def interleaved(tasks: dict[str, Callable[[], None]], rounds: int, device: torch.device) -> dict[str, list[float]]:
    """Seconds of each task in each round. All tasks run in turn, each for about `BURST`, as it would in training."""
    repeats = {name: max(1, round(BURST / _seconds(task, 2, device))) for name, task in tasks.items()}
    times: dict[str, list[float]] = {name: [] for name in tasks}
    for _ in range(rounds):
        for name, task in tasks.items():
            times[name].append(_seconds(task, repeats[name], device))
    return times


def _seconds(task: Callable[[], None], repeats: int, device: torch.device) -> float:
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


def pretraining_workload(replicas: int, device: torch.device, batch: int = 256) -> Workload:
    """A pre-training step of a pack at the published settings, one view."""
    experiment, shape = ExperimentSpec(), Shape(CHANNELS, BANDS)
    dtype, seed_R, x_RBCF = torch.float32, _seeds(replicas, device), _windows(replicas, batch, device)
    settings = Settings.stack([experiment] * replicas, [False] * replicas, device, dtype)
    parameters = initial_pretraining(shape, seed_R, device, dtype)
    optimizer = experiment.pretrain.optimizer
    adam = Adam(parameters.values, [optimizer] * replicas)
    rate_R = torch.full((replicas,), optimizer.learning_rate, device=device, dtype=dtype)

    def step() -> None:
        keep_RMCF = masks(settings, seed_R, 0, 0, batch, CHANNELS, BANDS)
        _, gradient = pretraining_gradient(parameters, x_RBCF, keep_RMCF, settings)
        adam.step(parameters.values, gradient, rate_R)

    rows, numbers, d, e = 2 * batch, CHANNELS * BANDS, shape.width, shape.embedding
    products = [
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
    return Workload(step, products)


def finetuning_workload(replicas: int, device: torch.device, batch: int = 128) -> Workload:
    """A fine-tuning step of a pack of folds at the published settings."""
    experiment, shape = ExperimentSpec(), Shape(CHANNELS, BANDS, classes=CLASSES)
    dtype, seed_R, x_RBCF = torch.float32, _seeds(replicas, device), _windows(replicas, batch, device)
    label_RB = (uniform(seed_R, "labels", 0, 0, batch) * CLASSES).to(torch.int64)
    encoder = initial_pretraining(shape, seed_R, device, dtype).part("encoder.")
    classifier = initial_classifier(shape, seed_R, device, dtype)
    optimizer = experiment.finetune.optimizer
    adams = [Adam(parameters.values, [optimizer] * replicas) for parameters in (encoder, classifier)]
    rate_R = torch.full((replicas,), optimizer.learning_rate, device=device, dtype=dtype)

    def step() -> None:
        found = finetuning_gradient(encoder, classifier, x_RBCF, label_RB)
        for adam, parameters, gradient in zip(adams, (encoder, classifier), found[2:], strict=True):
            adam.step(parameters.values, gradient, rate_R)

    products = [
        *_encoder_products(shape, batch),
        *_dense_products(shape.classifier_width, shape.embedding, batch),
        *_dense_products(CLASSES, shape.classifier_width, batch),
    ]
    return Workload(step, products)


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


def multiplications(products: Sequence[Product], replicas: int, device: torch.device) -> Callable[[], None]:
    """A task that does `products` for each replica, and nothing else."""
    pairs = [
        (torch.rand(replicas, m, k, device=device), torch.rand(replicas, k, n, device=device)) for m, k, n in products
    ]

    def task() -> None:
        for left, right in pairs:
            torch.bmm(left, right)

    return task


def _seeds(replicas: int, device: torch.device) -> Tensor:
    return torch.arange(replicas, device=device)


def _windows(replicas: int, batch: int, device: torch.device) -> Tensor:
    drawn = uniform(_seeds(replicas, device), "windows", 0, 0, batch * CHANNELS * BANDS)
    return drawn.view(replicas, batch, CHANNELS, BANDS)
