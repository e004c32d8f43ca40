"""The multilayer perceptron as a torch module."""

from __future__ import annotations

from itertools import pairwise

from torch import nn

from scmmlab.config.experiment import TrainedStage
from scmmlab.methods.alignment.aligned_fold import aligned
from scmmlab.methods.contract import FoldData, FoldRun, InputShape
from scmmlab.methods.mlp.spec import MlpSpec
from scmmlab.methods.sequential import SequentialTrainer
from scmmlab.replica.windows import WindowPool


class MlpTrainer(SequentialTrainer):
    """Hidden layers with leaky ReLU and dropout, and perhaps a normalisation."""

    def weight(self, spec: MlpSpec, stage: TrainedStage) -> float:
        """Against a step of SCMM's fine-tuning."""
        return 0.2

    def fold_data(self, run: FoldRun, pool: WindowPool) -> tuple[FoldData, WindowPool]:
        """Aligned as the settings say."""
        if run.experiment.alignment.kind == "none":
            return run.data, pool
        data = aligned(run)
        return data, WindowPool([data.seen_features, data.test_features], pool.windows.device, pool.windows.dtype)

    def module(self, spec: MlpSpec, shape: InputShape) -> nn.Module:
        """C·F → hidden → … → hidden → K."""
        widths = spec.hidden_widths
        layers: list[nn.Module] = [nn.Flatten()]
        for before, after in pairwise([shape.channels * shape.bands, *widths]):
            layers += [nn.Linear(before, after), *_norm(spec, after), nn.LeakyReLU(0.01), nn.Dropout(spec.dropout)]
        return nn.Sequential(*layers, nn.Linear(widths[-1], shape.classes))


def _norm(spec: MlpSpec, units: int) -> list[nn.Module]:
    match spec.norm:
        case "batch":
            return [nn.BatchNorm1d(units)]
        case "layer":
            return [nn.LayerNorm(units)]
    return []
