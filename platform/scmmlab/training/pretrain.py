"""Pre-training of a pack: encoders of different settings and seeds train together, each exactly as if it were alone.

| symbol | meaning |
|---|---|
| R | replicas of the pack |
| B, M | windows of a batch, their masked copies (B · views) |
| C, F | channels, bands |
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from scmmlab.config import ExperimentSpec, ReleasedProtocol
from scmmlab.errors import TrainingError
from scmmlab.model import (
    SINGLE_PROCESS,
    Collectives,
    Settings,
    Shape,
    initial_pretraining,
    masks,
    pretraining_gradient,
)
from scmmlab.training.batches import epoch_batches, steps_per_epoch
from scmmlab.training.checkpoint import Checkpoint
from scmmlab.training.data import PretrainData
from scmmlab.training.learner import Learner
from scmmlab.training.schedule import learning_rate
from scmmlab.training.seeding import PRETRAIN, derive_seed
from scmmlab.training.windows import Scaling, Windows

LOSSES = ("loss", "contrast", "reconstruction")
"""Figures of an epoch, means over its steps."""

BATCHES = "pretrain/batches"
"""Purpose of the random order of windows."""


@dataclass
class Encoder:
    """One encoder on its way through pre-training."""

    key: str
    """Key of the request."""
    experiment: ExperimentSpec
    """Its settings."""
    seed: int
    """Seed of the cell."""
    data: PretrainData
    """What it is trained on."""
    epoch: int = 0
    """Epochs done."""
    curve: list[dict[str, float]] = field(default_factory=list)
    """Figures of each epoch done."""
    probes: list[dict[str, float]] = field(default_factory=list)
    """In a sweep: the probe's figure at each epoch that was probed."""

    def __post_init__(self) -> None:
        batch = self.experiment.pretrain.batch_size
        if self.data.windows < batch:
            raise TrainingError(
                f"Pre-training needs at least one full batch of windows, but 'pretrain.batch_size' is {batch} and the "
                f"source has {self.data.windows}.",
                hint="lower pretrain.batch_size.",
            )

    @property
    def epochs(self) -> int:
        """Epochs that there are to be."""
        return self.experiment.pretrain.epochs


def pretrain_shape(experiment: ExperimentSpec, channels: int, bands: int) -> Shape:
    """Sizes of the network that is pre-trained (its classifier is not)."""
    return Shape(channels=channels, bands=bands, width=experiment.network.width, views=experiment.masking.views)


def overwrites_originals(experiment: ExperimentSpec) -> bool:
    """Whether masking also hides the windows themselves, as the released code does with one view."""
    protocol = experiment.protocol
    return isinstance(protocol, ReleasedProtocol) and protocol.overwrite_originals


class PretrainPack:
    """Encoders that train together, an epoch at a time, each at an epoch of its own.

    Parameters
    ----------
    encoders : sequence of Encoder
        The replicas. Their batches must have the same shape: channels, bands, width, views and batch size; the number
        of windows may differ (a replica with fewer steps is idle in the rest).
    pool : Windows
        Holds their data; its device and precision are those of the training.
    group : Collectives
        The workers that share each batch; all of them build the same pack and call the same methods.
    """

    def __init__(self, encoders: Sequence[Encoder], pool: Windows, group: Collectives = SINGLE_PROCESS):
        self.encoders = [replace(encoder, epoch=0, curve=[], probes=[]) for encoder in encoders]
        self.pool, self.group = pool, group
        self.device, self.dtype = pool.windows.device, pool.windows.dtype
        experiments = [encoder.experiment for encoder in self.encoders]
        data = [encoder.data for encoder in self.encoders]
        _, self.channels, self.bands = data[0].features.shape
        self.batch_size = experiments[0].pretrain.batch_size
        self.windows = [own.windows for own in data]
        self.steps = [steps_per_epoch(n, self.batch_size, drop_last=True) for n in self.windows]

        self.first_R = torch.tensor([pool.first_row(own.features) for own in data], device=self.device)
        self.scaling = Scaling([own.scaler for own in data], self.device, self.dtype)
        self.settings = Settings.stack(
            experiments, [overwrites_originals(e) for e in experiments], self.device, self.dtype
        )
        self.seed_R = torch.tensor([derive_seed(e.seed, PRETRAIN) for e in self.encoders], device=self.device)

        shape = pretrain_shape(experiments[0], self.channels, self.bands)
        self.parameters = initial_pretraining(shape, self.seed_R, self.device, self.dtype)
        self.learner = Learner(self.parameters, [e.pretrain.optimizer for e in experiments])

    def train_epoch(self) -> list[TrainingError | None]:
        """Train each replica through its next epoch, and put the figures on its curve.

        Returns
        -------
        list of TrainingError or None
            For each replica that diverged, the error; it has had no influence on the others.
        """
        rate_R = torch.tensor(
            [learning_rate(e.experiment.pretrain.optimizer, e.epoch, e.epochs) for e in self.encoders],
            device=self.device,
            dtype=self.dtype,
        )
        epoch_R = torch.tensor([e.epoch for e in self.encoders], device=self.device)
        batches = epoch_batches(self.seed_R, BATCHES, epoch_R, self.windows, self.batch_size, drop_last=True)
        sums_3R = torch.zeros(len(LOSSES), len(self.encoders), device=self.device, dtype=torch.float64)
        for step in range(batches.steps):
            active_R = None if batches.full[step] else batches.active_RS[:, step]
            rows_RB = batches.window_RSB[:, step] + self.first_R.unsqueeze(-1)
            losses_3R = self._step(rows_RB, epoch_R, step, rate_R, active_R)
            sums_3R += losses_3R if active_R is None else torch.where(active_R, losses_3R, 0.0)
        finite = self.parameters.values.isfinite().all(1).tolist()
        for encoder, steps, sums in zip(self.encoders, self.steps, sums_3R.T.tolist(), strict=True):
            encoder.epoch += 1
            figures = {name: total / steps for name, total in zip(LOSSES, sums, strict=True)}
            encoder.curve.append({"epoch": encoder.epoch, **figures})
        return [diverged(*pair) for pair in zip(self.encoders, finite, strict=True)]

    def _step(self, rows_RB: Tensor, epoch_R: Tensor, step: int, rate_R: Tensor, active_R: Tensor | None) -> Tensor:
        x_RBCF = self.scaling.apply(self.pool.gather(rows_RB))
        keep_RMCF = masks(self.settings, self.seed_R, epoch_R, step, self.batch_size, self.channels, self.bands)
        x_RBCF, keep_RMCF = self._own_part(x_RBCF, keep_RMCF)
        losses, gradient = pretraining_gradient(self.parameters, x_RBCF, keep_RMCF, self.settings, self.group, active_R)
        # a worker's gradient is its part of a sum over workers
        self.learner.step(self.group.sum(gradient), rate_R, active_R)
        return torch.stack(losses)

    def _own_part(self, x_RBCF: Tensor, keep_RMCF: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Of a batch, the windows of this worker, and the masks of their copies."""
        if self.group.workers == 1:
            return x_RBCF, keep_RMCF
        share = self.batch_size // self.group.workers
        own = slice(self.group.rank * share, (self.group.rank + 1) * share)
        if keep_RMCF is not None:
            # copies are the batch, tiled once for each view
            keep_RVBCF = keep_RMCF.unflatten(1, (self.settings.views, self.batch_size))
            keep_RMCF = keep_RVBCF[:, :, own].flatten(1, 2)
        return x_RBCF[:, own], keep_RMCF

    def checkpoint(self, replica: int) -> Checkpoint:
        """The state of one replica."""
        encoder = self.encoders[replica]
        return Checkpoint(
            epoch=encoder.epoch,
            tensors=self.learner.replica_state(replica),
            state={"curve": list(encoder.curve), "probes": list(encoder.probes)},
        )

    def restore(self, replica: int, checkpoint: Checkpoint) -> None:
        """Let one replica go on from `checkpoint`."""
        self.learner.load_replica(replica, checkpoint.tensors)
        encoder = self.encoders[replica]
        encoder.epoch = checkpoint.epoch
        encoder.curve, encoder.probes = list(checkpoint.state["curve"]), list(checkpoint.state["probes"])


def diverged(encoder: Encoder, finite: bool) -> TrainingError | None:
    """The error of an encoder whose last epoch had a loss, or left parameters, that are not finite; else None."""
    figures = encoder.curve[-1]
    bad = next((name for name in LOSSES if not math.isfinite(figures[name])), None)
    if bad is None and finite:
        return None
    found = "its parameters are not" if bad is None else f"'{bad}' is {figures[bad]}"
    return TrainingError(
        f"Pre-training of {encoder.key} diverged in epoch {encoder.epoch} of {encoder.epochs}: losses and parameters "
        f"must stay finite, but {found}.",
        hint="lower pretrain.optimizer.learning_rate, or raise contrast.temperature.",
    )
