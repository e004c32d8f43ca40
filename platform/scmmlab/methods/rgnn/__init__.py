"""RGNN: regularised graph neural network (Zhong et al. 2020)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scmmlab.methods.contract import ACCURACIES, KeyRules, Method, Metric, Rule, Trainer
from scmmlab.methods.rgnn.spec import RgnnSpec

if TYPE_CHECKING:  # imported when it runs
    from scmmlab.methods.golden import GoldenVerifier


def _load() -> Trainer:
    from scmmlab.methods.rgnn.trainer import RgnnTrainer

    return RgnnTrainer()


def _golden() -> GoldenVerifier:
    from scmmlab.methods.rgnn.golden import RgnnGolden

    return RgnnGolden()


METHOD = Method(
    name="rgnn",
    version="1",
    title="a simple graph convolution over electrodes whose graph starts from where they lie",
    replicas=True,
    paper="Zhong et al. 2020",
    checked="LibEER (MIT)",
    spec=RgnnSpec,
    load=_load,
    metrics={"finetune": (Metric("loss", "cross-entropy with soft labels"), *ACCURACIES)},
    rules=KeyRules(
        finetune=(
            Rule(
                "depth", lambda e: e.adjacency == "identity", "electrodes that see themselves alone stay by themselves"
            ),
            Rule("cross_links", lambda e: not e.uses_graph, "they are links of the graph"),
            Rule("l1", lambda e: not e.learns_graph, "it is of the links that are learned"),
        )
    ),
    golden=_golden,
)
"""What everybody else knows of it."""
