"""What methods of domain adaptation must hold: the suite of all methods, under the protocols that grant windows."""

from __future__ import annotations

from typing import Any

from method_conformance import MethodConformance

from scmmlab.config import ExperimentSpec, resolve_variant

STANDS_FOR: dict[str, dict[str, Any]] = {
    "honest": {"kind": "uda_inductive"},
    "honest_best": {"kind": "uda_inductive", "epoch_selection": "best_validation"},
    "loso": {"kind": "uda_transductive"},
    "zero_shot": {"kind": "uda_transductive", "epoch_selection": "best_validation"},
    "released": {"kind": "uda_transductive", "epoch_selection": "best_validation", "trial_order": "time_within_class"},
}
"""Protocol of the suite → the one that it is run under."""


class AdaptationConformance(MethodConformance):
    """The suite, each of whose protocols stands for one of domain adaptation."""

    def experiment(self, protocol: str = "honest", **changes: Any) -> ExperimentSpec:
        # every fold trains on the whole source, so there are few of them
        granting = {**STANDS_FOR[protocol], "subjects_per_fold": 2}
        spec = ExperimentSpec.model_validate({"method": self.method, "protocol": granting})
        return resolve_variant(resolve_variant(spec, self.settings), changes)
