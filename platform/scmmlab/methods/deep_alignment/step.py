"""The step of a pack: SCMM's fine-tuning step, which is also given windows of the target and λ.

| symbol | meaning |
|---|---|
| R | replicas of the pack: folds |
| B | windows of a batch |
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from scmmlab.methods.deep_alignment.alignment import Alignment
from scmmlab.methods.deep_alignment.gradient import AlignedWindows, aligned_gradient
from scmmlab.methods.deep_alignment.spec import Layer
from scmmlab.methods.scmm.finetune_step import FinetuneStep
from scmmlab.replica.learner import Learner
from scmmlab.replica.windows import Scaling, Windows


class AlignmentStep(FinetuneStep):
    """One step of all replicas.

    Parameters
    ----------
    learners : mapping of str to Learner
        ``encoder``, ``classifier``, and where the alignment learns itself ``alignment``.
    pool, scaling : Windows, Scaling
        The windows, and how each replica scales them.
    alignment, layer : Alignment, str
        What is aligned, and how.
    target_real_RB : Tensor, bool, shape=(R, B)
        Which target windows of a batch count.
    """

    def __init__(
        self,
        learners: Mapping[str, Learner],
        pool: Windows,
        scaling: Scaling,
        alignment: Alignment,
        layer: Layer,
        target_real_RB: Tensor,
    ):
        super().__init__(learners["encoder"].parameters, learners["classifier"].parameters, learners, pool, scaling)
        self._learned = learners["alignment"].parameters if "alignment" in learners else None
        self._alignment, self._layer, self._target_real_RB = alignment, layer, target_real_RB
        self.alignment_R = torch.zeros(len(target_real_RB), device=self.device, dtype=torch.float64)
        """The alignment's losses in this epoch, without λ, each as often as its step has windows of the source."""

    @property
    def extras(self) -> Mapping[str, tuple[torch.dtype, tuple[int, ...]]]:
        """Rows of the target's windows, λ, and random words."""
        replicas, batch_size = self._target_real_RB.shape
        entries: dict[str, tuple[torch.dtype, tuple[int, ...]]] = {
            "target": (torch.int64, (replicas, batch_size)),
            "weight": (self.encoder.values.dtype, (replicas,)),
        }
        if self._alignment.draws:
            entries["streams"] = (torch.int32, (2, replicas, 1))
        return entries

    def begin_epoch(self) -> None:
        """Forget the losses of the epoch before."""
        self.alignment_R.zero_()

    def _take(
        self,
        rows_RB: Tensor,
        label_RB: Tensor,
        real_RB: Tensor,
        rate_R: Tensor,
        active_R: Tensor | None,
        **extras: Tensor,
    ) -> tuple[Tensor, Tensor]:
        windows = AlignedWindows(
            x_RBCF=self.scaling.apply(self.pool.gather(rows_RB)),
            label_RB=label_RB,
            real_RB=real_RB,
            target_RMCF=self.scaling.apply(self.pool.gather(extras["target"])),
            target_real_RM=self._target_real_RB,
            weight_R=extras["weight"],
        )
        found = aligned_gradient(
            self.encoder,
            self.classifier,
            self._learned,
            self._alignment,
            self._layer,
            windows,
            extras.get("streams"),
        )
        for learner in self.learners.values():
            learner.step(learner.parameters.gradient, rate_R, active_R)
        counted_R = real_RB.sum(1)
        self.alignment_R += found.alignment_R * counted_R
        correct_R = ((found.logits_RBK.argmax(-1) == label_RB) & real_RB).sum(1)
        return found.loss_R * counted_R, correct_R
