"""How fast this machine trains, by a short probe: what a plan's time estimate stands on."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from scmmlab.config import ExperimentSpec, HonestProtocol
from scmmlab.evaluation import Fold
from scmmlab.features import Scaler
from scmmlab.model import initial_pretraining
from scmmlab.training.data import FoldData, PretrainData
from scmmlab.training.finetune import FinetunePack, FoldRun
from scmmlab.training.packs import finetune_pack_size, pretrain_pack_size
from scmmlab.training.pretrain import Encoder, PretrainPack, pretrain_shape
from scmmlab.training.sealed import SealedLabels
from scmmlab.training.windows import WindowPool

STEPS = 2
"""Steps of a probed epoch."""


@dataclass(frozen=True)
class MeasuredRates:
    """Steps a second of one worker, in packs of the size that its device gets."""

    pretrain_steps: float
    """Replica-steps of pre-training."""
    finetune_steps: float
    """Fold-steps of fine-tuning."""


def measure_rates(
    experiment: ExperimentSpec,
    channels: int,
    bands: int = 5,
    classes: int = 2,
    device: str = "cpu",
    seconds: float = 1.0,
    pack_size: int | None = None,
) -> MeasuredRates:
    """Train on random windows for a moment, and count.

    Parameters
    ----------
    experiment : ExperimentSpec
        Its network, batch sizes, masks and losses decide the work of a step.
    channels, bands, classes : int
        Shapes of the data.
    device : str
        Where; with as many threads as torch is set to use.
    seconds : float
        How long each of the two is measured, about; an epoch of two steps is always finished.
    pack_size : int | None
        Replicas that train together; as in the stages when None.
    """
    pretrain = _pretrain_pack(experiment, channels, bands, device, pack_size or pretrain_pack_size(device))
    finetune = _finetune_pack(experiment, channels, bands, classes, device, pack_size or finetune_pack_size(device))
    return MeasuredRates(
        pretrain_steps=_rate(pretrain.train_epoch, STEPS * len(pretrain.encoders), device, seconds),
        finetune_steps=_rate(finetune.train_epoch, STEPS * len(finetune.runs), device, seconds),
    )


def _rate(train_epoch: Callable[[], object], steps: int, device: str, seconds: float) -> float:
    train_epoch()  # the first epoch also allocates and chooses kernels
    epochs, start = 0, _now(device)
    while not epochs or _now(device) - start < seconds:
        train_epoch()
        epochs += 1
    return epochs * steps / (_now(device) - start)


def _now(device: str) -> float:
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def _random_windows(count: int, channels: int, bands: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(count, channels, bands)).astype(np.float32)


def _pretrain_pack(experiment: ExperimentSpec, channels: int, bands: int, device: str, size: int) -> PretrainPack:
    features = _random_windows(STEPS * experiment.pretrain.batch_size, channels, bands)
    data = PretrainData(features, len(features), Scaler.fit("min_max", features), fingerprint="")
    encoders = [Encoder(f"probe {seed}", experiment, seed, data) for seed in range(size)]
    return PretrainPack(encoders, WindowPool([features], device, torch.float32))


def _finetune_pack(
    experiment: ExperimentSpec, channels: int, bands: int, classes: int, device: str, size: int
) -> FinetunePack:
    # the last epoch counts: nothing is predicted, as in all but the last epoch of a training without validation
    experiment = experiment.model_copy(update={"protocol": HonestProtocol()})
    count = STEPS * experiment.finetune.batch_size
    features = _random_windows(count, channels, bands)
    label = np.arange(count) % classes
    nothing = np.zeros(0, dtype=np.int64)
    scaler = Scaler.fit("min_max", features)
    data = FoldData(
        fold=Fold("probe", (), "target", np.arange(count), nothing, np.arange(1)),
        seen_features=features,
        finetune_label=label,
        validation_label=nothing,
        test_features=features,
        test_subject=np.zeros(1, dtype=np.int32),
        sealed=SealedLabels(label[:1]),
        scaler=scaler,
        test_scaler=scaler,
    )
    shape = pretrain_shape(experiment, channels, bands)
    encoder = initial_pretraining(shape, torch.tensor([0]), "cpu", torch.float32).replica_state(0)
    runs = [FoldRun("probe", number, experiment, 0, data, classes, encoder) for number in range(size)]
    return FinetunePack(runs, WindowPool([features], device, torch.float32))
