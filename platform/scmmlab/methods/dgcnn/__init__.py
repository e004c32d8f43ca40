"""DGCNN: dynamical graph convolutional neural network (Song et al. 2018)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scmmlab.methods.contract import ACCURACIES, KeyRules, Method, Metric, Rule, Trainer
from scmmlab.methods.dgcnn.spec import DgcnnSpec

if TYPE_CHECKING:  # imported when it runs
    from scmmlab.methods.golden import GoldenVerifier


def _load() -> Trainer:
    from scmmlab.methods.dgcnn.trainer import DgcnnTrainer

    return DgcnnTrainer()


def _golden() -> GoldenVerifier:
    from scmmlab.methods.dgcnn.golden import DgcnnGolden

    return DgcnnGolden()


def _isolated(experiment: DgcnnSpec) -> bool:
    return not experiment.uses_graph


METHOD = Method(
    name="dgcnn",
    version="1",
    title="a graph convolution over electrodes whose graph is learned",
    replicas=True,
    paper="Song et al. 2018",
    checked="LibEER (MIT), torcheeg (MIT)",
    spec=DgcnnSpec,
    load=_load,
    metrics={"finetune": (Metric("loss", "cross-entropy"), *ACCURACIES)},
    rules=KeyRules(
        finetune=(
            Rule("laplacian", _isolated, "electrodes that see themselves alone have no Laplacian"),
            Rule("order", lambda e: e.adjacency == "identity", "without a graph there is one term"),
        )
    ),
    golden=_golden,
)
"""What everybody else knows of it."""
