"""The multilayer perceptron as a torch module."""

from __future__ import annotations

from itertools import pairwise

from torch import nn

from scmmlab.config.experiment import TrainedStage
from scmmlab.methods.contract import InputShape
from scmmlab.methods.mlp.spec import MlpSpec
from scmmlab.methods.sequential import SequentialTrainer


class MlpTrainer(SequentialTrainer):
    """Hidden layers of equal width, with leaky ReLU and dropout."""

    def weight(self, spec: MlpSpec, stage: TrainedStage) -> float:
        """Against a step of SCMM's fine-tuning."""
        return 0.2

    def module(self, spec: MlpSpec, shape: InputShape) -> nn.Module:
        """C·F → hidden → … → hidden → K."""
        sizes = [shape.channels * shape.bands, *[spec.hidden] * spec.layers]
        layers: list[nn.Module] = [nn.Flatten()]
        for before, after in pairwise(sizes):
            layers += [nn.Linear(before, after), nn.LeakyReLU(0.01), nn.Dropout(spec.dropout)]
        return nn.Sequential(*layers, nn.Linear(spec.hidden, shape.classes))
