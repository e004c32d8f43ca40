"""Deep alignments hold what every method must hold."""

from __future__ import annotations

from adaptation_conformance import AdaptationConformance


class DeepAlignmentConformance(AdaptationConformance):
    __test__ = False
    settings = {
        "network": {"width": 16, "classifier_width": 16},
        "finetune": {"epochs": 3, "batch_size": 16},
        "alignment.weight": 0.5,
    }
    failing = {"finetune.optimizer.weight_decay": 1e39}
    by_heart = {
        "finetune.epochs": 40,
        "finetune.batch_size": 64,
        "finetune.optimizer.learning_rate": 0.02,
        "finetune.optimizer.schedule": "constant",
        "alignment.weight": 0.01,
    }


class TestDann(DeepAlignmentConformance):
    __test__ = True
    method = "dann"


class TestDdc(DeepAlignmentConformance):
    __test__ = True
    method = "ddc"


class TestDan(DeepAlignmentConformance):
    __test__ = True
    method = "dan"


class TestDeepCoral(DeepAlignmentConformance):
    __test__ = True
    method = "deep_coral"
