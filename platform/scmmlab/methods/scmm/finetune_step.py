"""The fine-tuning step of a pack: gather, scale, gradient, Adam; called step by step, or as one CUDA graph.

| symbol | meaning |
|---|---|
| R | replicas of the pack: folds |
| S | steps of an epoch |
| B | windows of a batch |
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from scmmlab.config.experiment import Precision
from scmmlab.methods.scmm.finetuning import finetuning_gradient
from scmmlab.replica.graphed_epoch import EpochBuffers, GraphedEpoch
from scmmlab.replica.learner import Learner
from scmmlab.replica.parameters import Parameters
from scmmlab.replica.replicas import threads_for_replicas
from scmmlab.replica.windows import Scaling, Windows


class FinetuneStep:
    """One step of all replicas.

    Parameters
    ----------
    encoder, classifier : Parameters
        Of the pack.
    learners : mapping of str to Learner
        ``encoder``, unless it is frozen, and ``classifier``.
    pool, scaling : Windows, Scaling
        The windows, and how each replica scales them.
    precision : str
        Of matrix multiplications, as of `finetuning_gradient`.
    """

    def __init__(
        self,
        encoder: Parameters,
        classifier: Parameters,
        learners: Mapping[str, Learner],
        pool: Windows,
        scaling: Scaling,
        precision: Precision = "float32",
    ):
        self.precision = precision
        self.encoder, self.classifier, self.learners = encoder, classifier, learners
        self.pool, self.scaling = pool, scaling
        self.device = pool.windows.device

    @property
    def extras(self) -> Mapping[str, tuple[torch.dtype, tuple[int, ...]]]:
        """Name → type and shape of what a step of another method is given beside."""
        return {}

    def begin_epoch(self) -> None:
        """To be called before the first step of an epoch."""

    def __call__(
        self,
        rows_RB: Tensor,
        label_RB: Tensor,
        real_RB: Tensor,
        rate_R: Tensor,
        active_R: Tensor | None,
        **extras: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Take a step.

        Parameters
        ----------
        rows_RB : Tensor, int64, shape=(R, B)
            Rows of the pool.
        label_RB : Tensor, int64, shape=(R, B)
            Their classes.
        real_RB : Tensor, bool, shape=(R, B)
            Which of them count: the others fill a batch up.
        rate_R : Tensor, shape=(R,)
            Step sizes.
        active_R : Tensor, bool, shape=(R,), or None
            Replicas that have such a step: those with a row that counts. All when None.
        **extras : Tensor
            By the names of `extras`.

        Returns
        -------
        loss_R : Tensor
            Sum of the losses of the windows that count.
        correct_R : Tensor, int64
            How many of them were told right, before the step.
        """
        with threads_for_replicas(len(rows_RB), self.device):
            return self._take(rows_RB, label_RB, real_RB, rate_R, active_R, **extras)

    def _take(
        self,
        rows_RB: Tensor,
        label_RB: Tensor,
        real_RB: Tensor,
        rate_R: Tensor,
        active_R: Tensor | None,
        **extras: Tensor,
    ) -> tuple[Tensor, Tensor]:
        x_RBCF = self.scaling.apply(self.pool.gather(rows_RB))
        # rows are always masked, also where all are real: a replica's arithmetic must not depend on its neighbours'
        found = finetuning_gradient(
            self.encoder,
            self.classifier,
            x_RBCF,
            label_RB,
            real_RB,
            freeze_encoder="encoder" not in self.learners,
            precision=self.precision,
        )
        gradients = {"encoder": found.encoder_Rn, "classifier": found.classifier_Rn}
        for name, learner in self.learners.items():
            learner.step(gradients[name], rate_R, active_R)
        correct_R = ((found.logits_RBK.argmax(-1) == label_RB) & real_RB).sum(1)
        return found.loss_R * real_RB.sum(1), correct_R


class FinetuneEpoch(GraphedEpoch):
    """The steps of an epoch over buffers that stay where they are, on a GPU replayed as one CUDA graph.

    What happens in a step is what `FinetuneStep` does; all that differs from step to step and from epoch to epoch is
    read from the buffers.

    Parameters
    ----------
    step : FinetuneStep
        The step.
    steps : int
        The most that an epoch may have.
    batch_size : int
        B.
    cuda_graph : bool
        False to launch each kernel by itself on a GPU too.
    """

    def __init__(self, step: FinetuneStep, steps: int, batch_size: int, cuda_graph: bool = True):
        self._step = step
        values = step.classifier.values
        replicas = len(values)
        self._rate_R = torch.zeros(replicas, device=step.device, dtype=values.dtype)
        self._loss_R = torch.zeros(replicas, device=step.device, dtype=torch.float64)
        self._correct_R = torch.zeros(replicas, device=step.device, dtype=torch.int64)
        buffers = EpochBuffers(
            steps,
            step.device,
            windows=(torch.int64, (2, replicas, batch_size)),  # their rows, their labels
            real=(torch.bool, (replicas, batch_size)),
            active=(torch.bool, (replicas,)),
            **step.extras,
        )
        super().__init__(buffers, step.device, cuda_graph)

    def run(
        self,
        rows_SRB: Tensor,
        label_SRB: Tensor,
        real_SRB: Tensor,
        active_SR: Tensor,
        rate_R: Tensor,
        **extras: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Take the steps of an epoch; arguments as of `FinetuneStep`, for each step.

        Returns
        -------
        loss_R, correct_R : Tensor
            Sums over the steps, float64 and int64; the next epoch overwrites them.
        """
        self._graph.prepare(self._take_step, self._buffers.idle)
        self._buffers.load(windows=torch.stack((rows_SRB, label_SRB), 1), real=real_SRB, active=active_SR, **extras)
        self._rate_R.copy_(rate_R)
        self._step.begin_epoch()
        self._loss_R.zero_()
        self._correct_R.zero_()
        for _ in range(len(rows_SRB)):
            self._graph.run(self._take_step)
        return self._loss_R, self._correct_R

    @torch.inference_mode()
    def _take_step(self) -> None:
        now = self._buffers.now
        rows_RB, label_RB = now("windows")
        extras = {name: now(name) for name in self._step.extras}
        loss_R, correct_R = self._step(rows_RB, label_RB, now("real"), self._rate_R, now("active"), **extras)
        self._loss_R += loss_R
        self._correct_R += correct_R
        self._buffers.advance()
