"""Our methods hold what every method must hold."""

from __future__ import annotations

from alignment_contexts import ALIGNED
from method_conformance import MethodConformance


class TestScmm(MethodConformance):
    method = "scmm"
    settings = {
        "network": {"width": 16, "classifier_width": 16},
        "pretrain": {"epochs": 2, "batch_size": 32},
        "finetune": {"epochs": 3, "batch_size": 16},
    }
    failing = {"finetune.optimizer.weight_decay": 1e39}
    by_heart = {
        "finetune.epochs": 40,
        "finetune.optimizer.learning_rate": 0.02,
        "finetune.optimizer.schedule": "constant",
    }
    contexts = (
        {},
        {"loss.weighting": "fixed"},
        {"protocol.kind": "released"},
        {"protocol.kind": "released", "finetune.constant_learning_rate": False},
    )


class TestLinear(MethodConformance):
    method = "linear"
    contexts = ALIGNED
    failing = {"max_iterations": 1}
    by_heart = {"c": 100.0}


class TestMlp(MethodConformance):
    method = "mlp"
    contexts = ALIGNED
    settings = {"hidden": 16, "finetune": {"epochs": 3, "batch_size": 16}}
    failing = {"finetune.optimizer.weight_decay": 1e39}
    by_heart = {
        "finetune.epochs": 60,
        "finetune.optimizer.learning_rate": 0.02,
        "dropout": 0.0,
    }


class TestDgcnn(MethodConformance):
    method = "dgcnn"
    settings = {"hidden": 4, "dense": 8, "finetune": {"epochs": 3, "batch_size": 16}}
    failing = {"finetune.optimizer.weight_decay": 1e39}
    by_heart = {
        "finetune.epochs": 60,
        "finetune.optimizer.learning_rate": 0.02,
        "dropout": 0.0,
        "sparse_l2": 0.0,
        "dense": 32,
    }


class TestRgnn(MethodConformance):
    method = "rgnn"
    settings = {"hidden": 4, "finetune": {"epochs": 3, "batch_size": 16}}
    failing = {"finetune.optimizer.weight_decay": 1e39}
    by_heart = {
        "finetune.epochs": 60,
        "finetune.optimizer.learning_rate": 0.02,
        "hidden": 32,
        "depth": 1,
        "dropout": 0.0,
        "noise": 0.0,
        "l1": 0.0,
    }


class TestBidann(MethodConformance):
    method = "bidann"
    settings = {
        "time_steps": 2,
        "hidden": 4,
        "time_slots": 2,
        "dense": 8,
        "dense_last": 4,
        "finetune": {"epochs": 2, "batch_size": 16},
    }
    failing = {"finetune.optimizer.weight_decay": 1e39}
    by_heart = {
        "finetune.epochs": 20,
        "finetune.optimizer.learning_rate": 0.02,
        "dropout": 0.0,
        "hidden": 8,
    }
