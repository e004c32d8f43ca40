"""How fast packs train here: steps of random windows, counted for a moment."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from scmmlab.config import ExperimentSpec, HonestProtocol
from scmmlab.evaluation import Fold
from scmmlab.features import Scaler
from scmmlab.methods.contract import FoldData, FoldPack, FoldRun, InputShape, Pack, PretrainData, PretrainRun
from scmmlab.methods.electrodes import some_channels
from scmmlab.methods.registry import trainer_of
from scmmlab.replica.collectives import SINGLE_PROCESS
from scmmlab.replica.windows import WindowPool

AT_ONCE = 128
"""Windows of a step, of a method that has no batches."""

CPU_STEPS, GPU_STEPS = 2, 16
"""Steps of an epoch: enough of them that its beginning and end, where a GPU waits, count for little."""


@dataclass(frozen=True)
class StepRunner:
    """A pack on random windows, whose steps can be counted."""

    train_epoch: Callable[[], object]
    steps: int
    """Replica-steps of an epoch."""
    device: str

    def rate(self, seconds: float) -> float:
        """Replica-steps a second, measured for about so many seconds, and for one epoch at least."""
        self.train_epoch()  # the first epoch also allocates and chooses kernels
        epochs, start = 0, _now(self.device)
        while not epochs or _now(self.device) - start < seconds:
            self.train_epoch()
            epochs += 1
        return epochs * self.steps / (_now(self.device) - start)


def steps_of_pretraining(
    experiment: ExperimentSpec, channels: int, bands: int, classes: int, device: str, size: int
) -> StepRunner:
    """A pack of `size` encoders of `experiment`; classes are nothing to it."""
    steps = _steps(device)
    pack = _pretrain_pack(experiment, channels, bands, device, size, steps)
    return StepRunner(pack.train_epoch, steps * size, device)


def steps_of_finetuning(
    experiment: ExperimentSpec, channels: int, bands: int, classes: int, device: str, size: int
) -> StepRunner:
    """A pack of `size` folds of `experiment`, in epochs in which nothing is predicted."""
    steps = _steps(device)
    pack = _finetune_pack(experiment, channels, bands, classes, device, size, steps)
    # a method that is fitted at once has one step, however many windows
    own = trainer_of(experiment).steps(experiment, "finetune", len(pack.runs[0].data.finetune_label))
    return StepRunner(pack.train_epoch, own * size, device)


def _steps(device: str) -> int:
    return CPU_STEPS if torch.device(device).type == "cpu" else GPU_STEPS


def _now(device: str) -> float:
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def _random_windows(count: int, channels: int, bands: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(count, channels, bands)).astype(np.float32)


def _pretrain_pack(experiment: ExperimentSpec, channels: int, bands: int, device: str, size: int, steps: int) -> Pack:
    features = _random_windows(steps * experiment.pretrain_batch, channels, bands)
    scaler, number = Scaler.fit("min_max", features), np.arange(len(features))
    data = PretrainData(features, len(features), scaler, fingerprint="", trial=number, time_s=np.zeros(len(number)))
    runs = [PretrainRun(f"probe {seed}", experiment, seed, data) for seed in range(size)]
    pool = WindowPool([features], device, torch.float32)
    return trainer_of(experiment).pretrain_pack(runs, pool, SINGLE_PROCESS)


def _finetune_pack(
    experiment: ExperimentSpec, channels: int, bands: int, classes: int, device: str, size: int, steps: int
) -> FoldPack:
    # the last epoch counts: nothing is predicted, as in all but the last epoch of a training without validation
    experiment = experiment.unadapted().model_copy(update={"protocol": HonestProtocol()})
    count = steps * (experiment.test_batch_size or AT_ONCE)
    features = _random_windows(count, channels, bands)
    label = np.arange(count) % classes
    nothing = np.zeros(0, dtype=np.int64)
    scaler = Scaler.fit("min_max", features)
    data = FoldData(
        # the windows of the target that a method of domain adaptation sees too
        fold=Fold("probe", (), "target", np.arange(count), nothing, np.arange(1), np.arange(count)),
        seen_features=features,
        finetune_label=label,
        validation_label=nothing,
        test_features=features,
        scaler=scaler,
        test_scaler=scaler,
        seen_trial=np.arange(count),
        test_trial=np.arange(count),
        seen_subject=np.zeros(count, dtype=np.int64),
        test_subject=np.zeros(count, dtype=np.int64),
    )
    trainer = trainer_of(experiment)
    start = trainer.initial_state(experiment, InputShape(channels, bands, classes), 0)
    names = some_channels(channels)
    runs = [FoldRun("probe", number, experiment, 0, data, classes, start, names) for number in range(size)]
    return trainer.finetune_pack(runs, WindowPool([features], device, torch.float32))
