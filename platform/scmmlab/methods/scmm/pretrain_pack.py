"""Pre-training of a pack: encoders of different settings and seeds train together, each exactly as if it were alone.

| symbol | meaning |
|---|---|
| R, r | replicas that the pack has memory for, those of them that are trained |
| S | steps of an epoch |
| B | windows of a batch |
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from scmmlab.errors import DivergedError, TrainingError
from scmmlab.methods.contract import Checkpoint, Pack, PretrainRun
from scmmlab.methods.scmm.masking import mask_streams
from scmmlab.methods.scmm.pack_settings import PackSettings
from scmmlab.methods.scmm.parameters import initial_pretraining
from scmmlab.methods.scmm.pretrain_step import LOSSES, PretrainEpoch, PretrainStep, epoch_streams
from scmmlab.methods.scmm.shape import Shape
from scmmlab.methods.scmm.soft_weights import WindowTimes
from scmmlab.methods.scmm.spec import ScmmSpec
from scmmlab.replica.batches import EpochBatches, epoch_batches, steps_per_epoch
from scmmlab.replica.collectives import SINGLE_PROCESS, Collectives
from scmmlab.replica.cuda_graph import stays_on_device, warn_once
from scmmlab.replica.learner import Learner
from scmmlab.replica.precision import multiplications
from scmmlab.replica.schedule import learning_rate
from scmmlab.replica.seeding import PRETRAIN, PRETRAIN_BATCHES, derive_seed
from scmmlab.replica.windows import Scaling, Windows


def pretrain_shape(experiment: ScmmSpec, channels: int, bands: int) -> Shape:
    """Sizes of the network that is pre-trained (its classifier is not)."""
    return Shape(channels=channels, bands=bands, width=experiment.network.width, views=experiment.masking.views)


class PretrainPack(Pack):
    """Encoders that train together, an epoch at a time, each at an epoch of its own.

    Parameters
    ----------
    runs : sequence of PretrainRun
        The replicas. Their batches must have the same shape: channels, bands, width, views and batch size; the number
        of windows may differ (a replica with fewer steps is idle in the rest).
    pool : Windows
        Holds their data; its device and precision are those of the training.
    group : Collectives
        The workers that share each batch; all of them build the same pack and call the same methods.
    """

    def __init__(self, runs: Sequence[PretrainRun], pool: Windows, group: Collectives = SINGLE_PROCESS):
        self.runs = [_not_begun(run) for run in runs]
        self.pool, self.group = pool, group
        self.device, self.dtype = pool.windows.device, pool.windows.dtype
        experiments = [encoder.experiment for encoder in self.runs]
        data = [encoder.data for encoder in self.runs]
        _, channels, bands = data[0].features.shape
        self.shape = pretrain_shape(experiments[0], channels, bands)

        self._experiments = list(experiments)  # of each place
        self._places = list(range(len(experiments)))  # of each encoder
        self.first_R = torch.tensor([pool.first_row(own.features) for own in data], device=self.device)
        self.seed_R = torch.tensor([derive_seed(e.seed, PRETRAIN) for e in self.runs], device=self.device)
        self.parameters = initial_pretraining(self.shape, self.seed_R, self.device, self.dtype)
        self.step = PretrainStep(
            Learner(self.parameters, [e.pretrain.optimizer for e in experiments]),
            self._settings(),
            pool,
            Scaling.stack([own.scaler for own in data], self.device, self.dtype),
            experiments[0].pretrain.batch_size,
            group,
            self._times(),
        )
        self.learner = self.step.learner
        self.epoch: PretrainEpoch | None = None
        """Where the steps are taken on a GPU; None before the first of them, and elsewhere."""

    def _settings(self) -> PackSettings:
        overwrites = [experiment.overwrites_originals for experiment in self._experiments]
        return PackSettings.stack(self._experiments, overwrites, self.device, self.dtype)

    def _times(self) -> WindowTimes | None:
        """When the rows of the pool were recorded; None where no weight asks for it."""
        if not any(e.contrast.enabled and e.positives == "trial_time" for e in self._experiments):
            return None
        starts = [self.pool.first_row(own.data.features) for own in self.runs]
        rows = max(start + len(own.data.trial) for start, own in zip(starts, self.runs, strict=True))
        trial = torch.full((rows,), -1, dtype=torch.int64)
        time = torch.zeros(rows, dtype=torch.float64)
        for start, own in zip(starts, self.runs, strict=True):
            trial[start : start + len(own.data.trial)] = torch.from_numpy(own.data.trial)
            time[start : start + len(own.data.trial)] = torch.from_numpy(own.data.time_s)
        return WindowTimes(trial.to(self.device), time.to(self.device, self.dtype))

    @property
    def windows(self) -> list[int]:
        """How many windows each encoder is trained on."""
        return [encoder.data.windows for encoder in self.runs]

    def train_epoch(self) -> list[Exception | None]:
        """Train each replica through its next epoch, and put the figures on its curve.

        Returns
        -------
        list of TrainingError or None
            For each replica that diverged, the error; it has had no influence on the others.
        """
        found_4r = self.run_epoch()
        # the one question of an epoch to the device
        *sums_3r, finite_r = found_4r.tolist()
        for encoder, *sums in zip(self.runs, *sums_3r, strict=True):
            encoder.epoch += 1
            steps = steps_per_epoch(encoder.data.windows, self.step.batch_size, drop_last=True)
            figures = {name: total / steps for name, total in zip(LOSSES, sums, strict=True)}
            encoder.curve.append({"epoch": encoder.epoch, **figures})
        return [_divergence(encoder, finite == 1) for encoder, finite in zip(self.runs, finite_r, strict=True)]

    def run_epoch(self) -> Tensor:
        """Take the steps of the next epoch, without a question to the device.

        Returns
        -------
        Tensor, float64, shape=(4, r)
            Of each encoder the sums of `LOSSES` over its steps, and 1 if its parameters are finite.
        """
        places = torch.tensor(self._places, device=self.device)
        rate_r = torch.tensor(
            [learning_rate(e.experiment.pretrain.optimizer, e.epoch, e.epochs) for e in self.runs],
            device=self.device,
            dtype=self.dtype,
        )
        epoch_r = torch.tensor([e.epoch for e in self.runs], device=self.device)
        seed_r = self.seed_R[places]
        batches = epoch_batches(seed_r, PRETRAIN_BATCHES, epoch_r, self.windows, self.step.batch_size, drop_last=True)
        rows_rSB = batches.window_RSB + self.first_R[places][:, None, None]
        if not stays_on_device(self.device, self.group):
            if self.device.type == "cuda":
                warn_once("the workers that share a batch exchange numbers within a step")
            sums_3r = self._take_steps(rows_rSB, batches, seed_r, epoch_r, rate_r)
        else:
            if self.epoch is None or self.epoch.steps < batches.steps:
                self.epoch = None  # its memory, before there is another
                self.epoch = PretrainEpoch(self.step, batches.steps)
            # who has no step left computes its first batch again; nothing is kept of that, but it must be finite
            rows_rSB = torch.where(batches.active_RS.unsqueeze(-1), rows_rSB, rows_rSB[:, :1])
            with multiplications():
                sums_3R = self.epoch.run(
                    self._spread(rows_rSB.transpose(0, 1), places, 1),
                    self._spread(epoch_streams(seed_r, epoch_r, batches.steps), places, 2),
                    self._spread(batches.active_RS.T, places, 1),
                    self._spread(rate_r, places, 0),
                )
            sums_3r = sums_3R[:, places]
        finite_r = self.parameters.values.isfinite().all(1)[places]
        return torch.cat((sums_3r, finite_r.to(torch.float64).unsqueeze(0)))

    def _take_steps(
        self, rows_RSB: Tensor, batches: EpochBatches, seed_R: Tensor, epoch_R: Tensor, rate_R: Tensor
    ) -> Tensor:
        """The steps one by one, masking only those that not all replicas take."""
        sums_3R = torch.zeros(len(LOSSES), len(self.runs), device=self.device, dtype=torch.float64)
        for step in range(batches.steps):
            active_R = None if batches.full[step] else batches.active_RS[:, step]
            losses_3R = self.step(rows_RSB[:, step], mask_streams(seed_R, epoch_R, step), rate_R, active_R)
            sums_3R += losses_3R if active_R is None else torch.where(active_R, losses_3R, 0.0)
        return sums_3R

    def _spread(self, tensor: Tensor, places: Tensor, dim: int) -> Tensor:
        """A tensor of encoders as one of places; 0 where nobody is."""
        shape = list(tensor.shape)
        shape[dim] = len(self._experiments)
        return tensor.new_zeros(shape).index_copy_(dim, places, tensor)

    def swap_replicas(self, staying: Sequence[int], arriving: Sequence[PretrainRun]) -> bool:
        """Let encoders leave and others take their places, where nothing else has to move for that.

        A CUDA graph, and the memory that it works on, outlive such a swap. An empty place costs as much as one
        that is taken, so a pack that would be half empty is better made anew.

        Parameters
        ----------
        staying : sequence of int
            Numbers of the encoders that stay.
        arriving : sequence of PretrainRun
            Those that follow them, none of them begun.

        Returns
        -------
        bool
            False, and nothing has happened, where a new pack is to be made.
        """
        members = len(staying) + len(arriving)
        places = len(self._experiments)
        fits = places / 2 < members <= places and self.step.times is None
        if not stays_on_device(self.device, self.group) or not fits:
            self.epoch = None  # the new pack wants its memory
            return False
        kept = [self._places[replica] for replica in staying]
        free = [place for place in range(places) if place not in kept]
        self.runs = [self.runs[replica] for replica in staying]
        self._places = kept
        for place, encoder in zip(free, arriving, strict=False):
            self._seat(place, _not_begun(encoder))
        if arriving:
            fresh = self._settings()
            settings = fresh.in_memory_of(self.step.settings)
            if settings is None:
                self.epoch = None  # other work is to be done: another graph
            self.step.settings = settings or fresh
        return True

    def _seat(self, place: int, encoder: PretrainRun) -> None:
        """Put an encoder at a place, with its initial parameters."""
        self.runs.append(encoder)
        self._places.append(place)
        self._experiments[place] = encoder.experiment
        self.first_R[place] = self.pool.first_row(encoder.data.features)
        self.seed_R[place] = derive_seed(encoder.seed, PRETRAIN)
        self.step.scaling.assign(place, encoder.data.scaler)
        initial = initial_pretraining(self.shape, self.seed_R[place : place + 1], self.device, self.dtype)
        self.learner.assign(place, initial.replica_state(0), encoder.experiment.pretrain.optimizer)

    def replica_state(self, replica: int) -> dict[str, Tensor]:
        """Parameters and batch-norm buffers of one encoder."""
        return self.parameters.replica_state(self._places[replica])

    def checkpoint(self, replica: int) -> Checkpoint:
        """The state of one encoder."""
        encoder = self.runs[replica]
        return Checkpoint(
            epoch=encoder.epoch,
            tensors=self.learner.replica_state(self._places[replica]),
            state={"curve": list(encoder.curve), "probes": list(encoder.probes)},
        )

    def restore(self, replica: int, checkpoint: Checkpoint) -> None:
        """Let one encoder go on from `checkpoint`."""
        self.learner.load_replica(self._places[replica], checkpoint.tensors)
        encoder = self.runs[replica]
        encoder.epoch = checkpoint.epoch
        encoder.curve, encoder.probes = list(checkpoint.state["curve"]), list(checkpoint.state["probes"])


def _not_begun(run: PretrainRun) -> PretrainRun:
    return replace(run, epoch=0, curve=[], probes=[])


def _divergence(encoder: PretrainRun, finite: bool) -> TrainingError | None:
    """The error of an encoder whose last epoch had a loss, or left parameters, that are not finite; else None."""
    figures = encoder.curve[-1]
    bad = next((name for name in LOSSES if not math.isfinite(figures[name])), None)
    if bad is None and finite:
        return None
    found = "its parameters are not" if bad is None else f"'{bad}' is {figures[bad]}"
    return DivergedError(
        f"Pre-training of {encoder.key} diverged in epoch {encoder.epoch} of {encoder.epochs}: losses and parameters "
        f"must stay finite, but {found}.",
        hint="lower pretrain.optimizer.learning_rate, or raise contrast.temperature.",
    )
