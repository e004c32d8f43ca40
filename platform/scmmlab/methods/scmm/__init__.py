"""SCMM: soft contrastive masked modelling (arXiv 2408.09186)."""

from __future__ import annotations

from scmmlab.methods.contract import ACCURACIES, Method, Metric, Trainer
from scmmlab.methods.scmm.key_rules import RULES
from scmmlab.methods.scmm.spec import ScmmSpec


def _load() -> Trainer:
    from scmmlab.methods.scmm.trainer import ScmmTrainer

    return ScmmTrainer()


METHOD = Method(
    name="scmm",
    version="1",
    title="soft contrastive masked modelling: pre-training without labels on the source, fine-tuning on the target",
    replicas=True,
    paper="arXiv 2408.09186",
    checked="the authors' released code (no licence)",
    spec=ScmmSpec,
    load=_load,
    budget="pretrain.epochs",
    metrics={
        "pretrain": (
            Metric("loss", "total loss"),
            Metric("contrast", "contrastive loss"),
            Metric("reconstruction", "reconstruction loss"),
        ),
        "finetune": (
            Metric("loss", "cross-entropy"),
            *ACCURACIES,
        ),
    },
    rules=RULES,
)
"""What everybody else knows of it."""
