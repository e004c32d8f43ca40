"""Our methods hold what every method must hold."""

from __future__ import annotations

from typing import Any

from alignment_contexts import ALIGNED
from method_conformance import MethodConformance

from scmmlab.methods.registry import method


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
    companions = {
        "augmentation.mixup": {"contrast.weights": "hard"},
        "contrast.half_life": {"contrast.positives": "trial_time"},
        "reconstruction.on": {"reconstruction.target": "original"},
    }


def as_scmm(name: str) -> tuple[dict[str, Any], ...]:
    """Contexts in which all settings of SCMM's family matter: SCMM's values where the method has others."""
    own, scmm = (method(each).spec().model_dump() for each in (name, "scmm"))
    others = {
        f"{group}.{setting}": value
        for group, settings in scmm.items()
        if group not in ("method", "protocol") and isinstance(settings, dict)
        for setting, value in settings.items()
        if value != own[group][setting]
    }
    return tuple({**others, **context} for context in TestScmm.contexts)


class TestSimClr(TestScmm):
    method = "simclr"
    contexts = as_scmm("simclr")


class TestMae(TestScmm):
    method = "mae"
    contexts = as_scmm("mae")


class TestMixup(TestScmm):
    method = "mixup"
    contexts = as_scmm("mixup")


class TestSimMtm(TestScmm):
    method = "simmtm"
    contexts = as_scmm("simmtm")


class TestSoftClt(TestScmm):
    method = "softclt"
    contexts = as_scmm("softclt")


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
