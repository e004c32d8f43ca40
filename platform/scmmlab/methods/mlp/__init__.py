"""A multilayer perceptron of a window's features."""

from __future__ import annotations

from scmmlab.methods.contract import ACCURACIES, Method, Metric, Trainer
from scmmlab.methods.mlp.key_rules import RULES
from scmmlab.methods.mlp.spec import MlpSpec


def _load() -> Trainer:
    from scmmlab.methods.mlp.trainer import MlpTrainer

    return MlpTrainer()


METHOD = Method(
    name="mlp",
    version="1",
    title="a multilayer perceptron of a window's features",
    spec=MlpSpec,
    load=_load,
    sees=frozenset({"unlabelled_target"}),
    metrics={"finetune": (Metric("loss", "cross-entropy"), *ACCURACIES)},
    rules=RULES,
)
"""What everybody else knows of it."""
