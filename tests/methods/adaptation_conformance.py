"""What methods of domain adaptation must hold: the suite of all methods, under the protocols that grant windows."""

from __future__ import annotations

from typing import Any, ClassVar

from method_conformance import PROTOCOLS, MethodConformance

from scmmlab.config import ExperimentSpec, resolve_variant

STANDS_FOR: dict[str, dict[str, Any]] = {
    "honest": {"kind": "uda_inductive"},
    "honest_best": {"kind": "uda_inductive", "epoch_selection": "best_validation"},
    "loso": {"kind": "uda_transductive", "subjects_per_fold": 2},
    "zero_shot": {"kind": "uda_transductive"},
    "released": {"kind": "uda_transductive", "epoch_selection": "best_validation", "trial_order": "time_within_class"},
}
"""Protocol of the suite → the one that it is run under."""


class AdaptationConformance(MethodConformance):
    """The suite, each of whose protocols stands for one of domain adaptation."""

    granting: ClassVar[dict[str, dict[str, Any]]] = PROTOCOLS | STANDS_FOR

    def experiment(self, protocol: str = "honest", **changes: Any) -> ExperimentSpec:
        spec = ExperimentSpec.model_validate({"method": self.method, "protocol": self.granting[protocol]})
        return resolve_variant(resolve_variant(spec, self.settings), changes)
