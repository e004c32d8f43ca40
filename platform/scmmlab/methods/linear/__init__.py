"""Logistic regression: the floor that a comparison owes its reader."""

from __future__ import annotations

from scmmlab.methods.contract import ACCURACIES, Method, Trainer
from scmmlab.methods.linear.key_rules import RULES
from scmmlab.methods.linear.spec import LinearSpec


def _load() -> Trainer:
    from scmmlab.methods.linear.trainer import LinearTrainer

    return LinearTrainer()


METHOD = Method(
    name="linear",
    version="1",
    title="logistic regression of a window's features, by scikit-learn",
    spec=LinearSpec,
    load=_load,
    runs_on="cpu",
    metrics={"finetune": ACCURACIES},
    rules=RULES,
)
"""What everybody else knows of it."""
