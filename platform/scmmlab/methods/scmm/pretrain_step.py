"""The pre-training step of a pack: gather, scale, mask, gradient, Adam; called step by step, or as one CUDA graph.

| symbol | meaning |
|---|---|
| R | replicas of the pack |
| S | steps of an epoch |
| B, M | windows of a batch, their masked copies (B · views) |
| C, F | channels, bands |
"""

from __future__ import annotations

import torch
from torch import Tensor

from scmmlab.methods.scmm import METHOD
from scmmlab.methods.scmm.augmentation import augmented
from scmmlab.methods.scmm.masking import mask_streams, stream_masks
from scmmlab.methods.scmm.pack_settings import PackSettings
from scmmlab.methods.scmm.pretraining import BatchViews, pretraining_gradient
from scmmlab.methods.scmm.soft_weights import WindowTimes
from scmmlab.replica.collectives import SINGLE_PROCESS, Collectives
from scmmlab.replica.graphed_epoch import EpochBuffers, GraphedEpoch
from scmmlab.replica.learner import Learner
from scmmlab.replica.replicas import threads_for_replicas
from scmmlab.replica.windows import Scaling, Windows

LOSSES = METHOD.names("pretrain")
"""Figures of a step, and of an epoch their means over its steps."""


class PretrainStep:
    """One step of all replicas.

    Parameters
    ----------
    learner : Learner
        Parameters and optimiser.
    settings : PackSettings
        Of the pack.
    pool, scaling : Windows, Scaling
        The windows, and how each replica scales them.
    batch_size : int
        B.
    group : Collectives
        The workers that share each batch.
    times : WindowTimes or None
        When each row of the pool was recorded, where weights ask for it.
    """

    def __init__(
        self,
        learner: Learner,
        settings: PackSettings,
        pool: Windows,
        scaling: Scaling,
        batch_size: int,
        group: Collectives = SINGLE_PROCESS,
        times: WindowTimes | None = None,
    ):
        self.learner, self.settings, self.pool, self.scaling = learner, settings, pool, scaling
        self.batch_size, self.group, self.times = batch_size, group, times
        self.device = pool.windows.device
        _, self.channels, self.bands = pool.windows.shape

    def __call__(self, rows_RB: Tensor, streams_2R1: Tensor, rate_R: Tensor, active_R: Tensor | None) -> Tensor:
        """Take a step.

        Parameters
        ----------
        rows_RB : Tensor, int64, shape=(R, B)
            Rows of the pool.
        streams_2R1 : Tensor, int32, shape=(2, R, 1)
            Random words of the masks, from `mask_streams`.
        rate_R : Tensor, shape=(R,)
            Step sizes.
        active_R : Tensor, bool, shape=(R,), or None
            Replicas that take the step; the others stay what they are. All when None.

        Returns
        -------
        Tensor, shape=(3, R)
            `LOSSES`.
        """
        if self.group.workers > 1:  # replicas follow one another, so each has all threads
            return self._take(rows_RB, streams_2R1, rate_R, active_R)
        with threads_for_replicas(len(rows_RB), self.device):
            return self._take(rows_RB, streams_2R1, rate_R, active_R)

    def _take(self, rows_RB: Tensor, streams_2R1: Tensor, rate_R: Tensor, active_R: Tensor | None) -> Tensor:
        x_RBCF = self.scaling.apply(self.pool.gather(rows_RB))
        keep_RMCF = stream_masks(self.settings, streams_2R1, self.batch_size, self.channels, self.bands)
        copies_RMCF, mixture = augmented(x_RBCF, streams_2R1, self.settings)
        times = None if self.times is None else WindowTimes(*(each[rows_RB] for each in self.times))
        x_RBCF, keep_RMCF, copies_RMCF = self._own_part(x_RBCF, keep_RMCF, copies_RMCF)
        losses, gradient = pretraining_gradient(
            self.learner.parameters,
            x_RBCF,
            keep_RMCF,
            self.settings,
            self.group,
            active_R,
            BatchViews(copies_RMCF, mixture, times),
        )
        # a worker's gradient is its part of a sum over workers
        self.learner.step(self.group.sum(gradient), rate_R, active_R)
        return torch.stack(losses)

    def _own_part(
        self, x_RBCF: Tensor, keep_RMCF: Tensor | None, copies_RMCF: Tensor | None
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Of a batch, the windows of this worker, and the masks of their copies and what these are before."""
        if self.group.workers == 1:
            return x_RBCF, keep_RMCF, copies_RMCF
        share = self.batch_size // self.group.workers
        own = slice(self.group.rank * share, (self.group.rank + 1) * share)
        # copies are the batch, tiled once for each view
        tiles = self.settings.views, self.batch_size

        def mine(tiled_RMCF: Tensor | None) -> Tensor | None:
            return None if tiled_RMCF is None else tiled_RMCF.unflatten(1, tiles)[:, :, own].flatten(1, 2)

        return x_RBCF[:, own], mine(keep_RMCF), mine(copies_RMCF)


class PretrainEpoch(GraphedEpoch):
    """The steps of an epoch over buffers that stay where they are, on a GPU replayed as one CUDA graph.

    What happens in a step is what `PretrainStep` does. Which step it is, and all that differs from step to step and
    from epoch to epoch, is read from the buffers; the host launches the steps and asks for nothing.

    Parameters
    ----------
    step : PretrainStep
        The step. Its settings may change to others in the same memory.
    steps : int
        The most that an epoch may have.
    cuda_graph : bool
        False to launch each kernel by itself on a GPU too.
    """

    def __init__(self, step: PretrainStep, steps: int, cuda_graph: bool = True):
        self._step = step
        values = step.learner.parameters.values
        replicas = len(values)
        self._rate_R = torch.zeros(replicas, device=step.device, dtype=values.dtype)
        self._sums_3R = torch.zeros(len(LOSSES), replicas, device=step.device, dtype=torch.float64)
        buffers = EpochBuffers(
            steps,
            step.device,
            rows=(torch.int64, (replicas, step.batch_size)),
            streams=(torch.int32, (2, replicas, 1)),
            active=(torch.bool, (replicas,)),
        )
        super().__init__(buffers, step.device, cuda_graph)

    @property
    def steps(self) -> int:
        """The most that an epoch may have."""
        return self._buffers.steps

    def run(self, rows_SRB: Tensor, streams_S2R1: Tensor, active_SR: Tensor, rate_R: Tensor) -> Tensor:
        """Take the steps of an epoch.

        Parameters
        ----------
        rows_SRB : Tensor, int64, shape=(S, R, B)
            Rows of the pool; valid ones too where a replica is not active.
        streams_S2R1 : Tensor, int32, shape=(S, 2, R, 1)
            From `epoch_streams`.
        active_SR : Tensor, bool, shape=(S, R)
            Who takes which step.
        rate_R : Tensor, shape=(R,)
            Step sizes.

        Returns
        -------
        Tensor, float64, shape=(3, R)
            Sums of `LOSSES` over the steps of each replica; the next epoch overwrites them.
        """
        self._graph.prepare(self._take_step, self._buffers.idle)
        self._buffers.load(rows=rows_SRB, streams=streams_S2R1, active=active_SR)
        self._rate_R.copy_(rate_R)
        self._sums_3R.zero_()
        for _ in range(len(rows_SRB)):
            self._graph.run(self._take_step)
        return self._sums_3R

    @torch.inference_mode()
    def _take_step(self) -> None:
        active_R = self._buffers.now("active")
        losses_3R = self._step(self._buffers.now("rows"), self._buffers.now("streams"), self._rate_R, active_R)
        self._sums_3R += torch.where(active_R, losses_3R, 0.0)
        self._buffers.advance()


def epoch_streams(seed_R: Tensor, epoch_R: Tensor, steps: int) -> Tensor:
    """The streams of the masks of all steps of an epoch, int32 [S, 2, R, 1]: a hundred operations, once an epoch."""
    step_N = torch.arange(steps, device=seed_R.device).repeat_interleave(len(seed_R))
    streams_2N1 = mask_streams(seed_R.repeat(steps), epoch_R.repeat(steps), step_N)
    return streams_2N1.view(2, steps, len(seed_R), 1).transpose(0, 1)
