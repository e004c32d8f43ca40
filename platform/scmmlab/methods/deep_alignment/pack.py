"""A pack of folds whose features are aligned: SCMM's fine-tuning pack, which also sees windows of the target.

| symbol | meaning |
|---|---|
| R, S | replicas, steps of the replica with the most |
| B | windows of a batch |
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from scmmlab.evaluation.metrics import json_scores
from scmmlab.methods.contract import FoldRun
from scmmlab.methods.deep_alignment.alignment import Alignment
from scmmlab.methods.deep_alignment.spec import DeepAlignmentSpec
from scmmlab.methods.deep_alignment.step import AlignmentStep
from scmmlab.methods.deep_alignment.target_batches import counting, target_batches
from scmmlab.methods.gradient_reversal import reversal_strength
from scmmlab.methods.scmm.finetune_pack import FinetunePack
from scmmlab.replica.batches import steps_per_epoch
from scmmlab.replica.learner import Learner
from scmmlab.replica.parameters import Parameters, initialise
from scmmlab.replica.random import streams
from scmmlab.replica.windows import WindowPool, padded


def alignment_weight(spec: DeepAlignmentSpec, progress: float) -> float:
    """λ after that share of a training's steps."""
    weight = spec.alignment.weight
    return weight if spec.alignment.schedule == "constant" else weight * reversal_strength(progress)


class AlignmentPack(FinetunePack):
    """Folds that train together, an epoch at a time, each at an epoch of its own.

    Parameters
    ----------
    runs : sequence of FoldRun
        The replicas. They have the same shapes, the same layer is aligned in the same way, and the same epoch counts;
        how many windows they have, and λ, may differ.
    pool : WindowPool
        Holds their data.
    alignment : Alignment
        What all of them do.
    """

    def __init__(self, runs: Sequence[FoldRun], pool: WindowPool, alignment: Alignment):
        super().__init__(runs, pool)
        self.alignment = alignment
        data = [run.data for run in self.runs]
        self.target_windows = [len(own.fold.unlabelled) for own in data]
        assert min(self.target_windows) > 0, "its spec refuses protocols that grant no windows of the target"
        self.target_rows_RN, _ = padded([pool.rows(own.test_features, own.fold.unlabelled) for own in data])
        spec: DeepAlignmentSpec = self.runs[0].experiment
        layer = {"hidden": "fc.bias", "embedding": "fc.weight"}[spec.alignment.layer]
        if sizes := alignment.sizes(self.classifier[layer].shape[-1]):
            learned = initialise(Parameters(sizes, len(self.runs), self.device, self.dtype), self.seed_R)
            self.learners["alignment"] = Learner(
                learned,
                [run.experiment.finetune.optimizer for run in self.runs],
                keep_best=self.mode.selection == "best_validation",
            )
        self._aligned = AlignmentStep(
            self.learners,
            pool,
            self.scaling,
            alignment,
            spec.alignment.layer,
            counting(self.target_windows, self.batch_size, self.device),
        )
        self.step = self._aligned

    def step_extras(self, epoch_R: Tensor, steps: int) -> dict[str, Tensor]:
        """Windows of the target, λ, and random words of each step."""
        window_SRB = target_batches(self.seed_R, epoch_R, self.target_windows, steps, self.batch_size)
        rows_SRB = self.target_rows_RN.expand(steps, -1, -1).gather(2, window_SRB)
        extras = {"target": rows_SRB, "weight": self._weights(steps)}
        if self.alignment.draws:
            step_N = torch.arange(steps, device=self.device).repeat_interleave(len(self.runs))
            drawn_2N1 = streams(self.seed_R.repeat(steps), "domain dropout", epoch_R.repeat(steps), step_N)
            extras["streams"] = drawn_2N1.view(2, steps, len(self.runs), 1).transpose(0, 1)
        return extras

    def _weights(self, steps: int) -> Tensor:
        """λ of each step, [S, R]: by the share of a replica's own steps that are done before it."""
        weights = []
        for run, windows in zip(self.runs, self.windows, strict=True):
            own = steps_per_epoch(windows, self.batch_size, drop_last=False)
            done = [(run.epoch * own + step) / (run.epochs * own) for step in range(steps)]
            weights.append([alignment_weight(run.experiment, progress) for progress in done])
        return torch.tensor(weights, device=self.device, dtype=self.dtype).T

    def run_epoch(self) -> Tensor:
        """As SCMM's; the last column is the sum of the alignment's losses, without λ."""
        return torch.cat((super().run_epoch(), self._aligned.alignment_R.unsqueeze(1)), 1)

    def _end_epoch(self, found: Sequence[Sequence[float]]) -> None:
        super()._end_epoch([figures[:-1] for figures in found])
        for run, windows, (*_, alignment) in zip(self.runs, self.windows, found, strict=True):
            run.curve[-1] |= json_scores({"alignment": alignment / windows})

    def _of(self, runs: Sequence[FoldRun]) -> AlignmentPack:
        return AlignmentPack(runs, self.pool, self.alignment)
