"""BiDANN: bi-hemispheres domain adversarial neural network (Li et al. 2018), without its domain discriminators."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scmmlab.methods.bidann.spec import BidannSpec
from scmmlab.methods.contract import ACCURACIES, Method, Metric, Trainer

if TYPE_CHECKING:  # imported when it runs
    from scmmlab.methods.golden import GoldenVerifier


def _load() -> Trainer:
    from scmmlab.methods.bidann.trainer import BidannTrainer

    return BidannTrainer()


def _golden() -> GoldenVerifier:
    from scmmlab.methods.bidann.golden import BidannGolden

    return BidannGolden()


METHOD = Method(
    name="bidann",
    version="1",
    title="a recurrent network over windows of a trial, one for each hemisphere",
    replicas=True,
    paper="Li et al. 2018",
    checked="LibEER (MIT)",
    spec=BidannSpec,
    load=_load,
    metrics={"finetune": (Metric("loss", "cross-entropy"), *ACCURACIES)},
    golden=_golden,
)
"""What everybody else knows of it."""
