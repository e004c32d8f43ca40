"""Methods whose windows are aligned hold what every method must hold, under the protocols that allow it."""

from __future__ import annotations

from typing import Any

from alignment_contexts import ALIGNED
from method_conformance import MethodConformance

from scmmlab.config import ExperimentSpec, resolve_variant

INSTEAD: dict[str, dict[str, Any]] = {
    "honest": {"kind": "uda_inductive"},
    "honest_best": {"kind": "uda_inductive", "epoch_selection": "best_validation"},
    "loso": {"kind": "uda_inductive", "subjects_per_fold": 2},
    "zero_shot": {"kind": "uda_transductive"},
    "released": {"kind": "uda_transductive", "subjects_per_fold": 2},
}


class Aligned(MethodConformance):
    __test__ = False
    contexts = ALIGNED
    failing = {"alignment.kind": "subspace", "alignment.components": 1000}

    def experiment(self, protocol: str = "honest", **changes: Any) -> ExperimentSpec:
        spec = ExperimentSpec.model_validate({"method": self.method, "protocol": INSTEAD[protocol]})
        return resolve_variant(resolve_variant(spec, self.settings), changes)


class TestRecentredLinear(Aligned):
    __test__ = True
    method = "linear"
    settings = {"alignment": {"kind": "recentre", "scale": True}}
    by_heart = {"c": 100.0}


class TestCoralRidge(Aligned):
    __test__ = True
    method = "ridge"
    settings = {"alignment": {"kind": "coral"}}
    by_heart = {"alpha": 1e-3}


class TestSubspaceMlp(Aligned):
    __test__ = True
    method = "mlp"
    settings = {
        "hidden": 16,
        "scaling": "standard",
        "finetune": {"epochs": 3, "batch_size": 16},
        "alignment": {"kind": "subspace", "components": 5},
    }
    by_heart = {"finetune.epochs": 30, "finetune.optimizer.learning_rate": 0.03, "dropout": 0.0}
