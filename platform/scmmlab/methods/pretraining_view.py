"""What pre-training sees of an experiment. Its key, its data, its pack signature and its record all derive from it.

Pre-training sees every setting but those that a rule takes out. It is handed `pretraining_view`, in which the settings
that it does not see have their defaults: what is in no key cannot change what is trained, and what is trained on is in
the key.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scmmlab.config.experiment import ExperimentSpec
from scmmlab.methods.contract import Rule, always
from scmmlab.methods.registry import method_of

SHARED_RULES = tuple(
    Rule(f"protocol.{setting}", always, "pre-training is over before it is looked at")
    for setting in (
        "kind",
        "subjects_per_fold",
        "trial_order",
        "finetune_trials",
        "finetune_share",
        "validation_share",
        "epoch_selection",
        "split",
        "tested",
        "scale_each_part",
        "accuracy",
    )
)
"""What, of what all methods share, pre-training does not see."""


def what_matters(experiment: ExperimentSpec, rules: tuple[Rule, ...]) -> dict[str, Any]:
    """An experiment as plain values, less what rules say does not matter."""
    # as what they are, and not as what they are declared as: a spec that was extended brings all its fields
    part = experiment.resolved().model_dump(mode="json", serialize_as_any=True)
    for rule in rules:
        if rule.when(experiment):
            _remove(part, rule.path.split("."))
    return part


def seen_by_pretraining(experiment: ExperimentSpec, without: tuple[Rule, ...] = ()) -> dict[str, Any]:
    """An experiment as plain values, less what pre-training does not see, and less what other rules take out."""
    return what_matters(experiment, SHARED_RULES + method_of(experiment).rules.pretrain + without)


def pretraining_view(experiment: ExperimentSpec) -> ExperimentSpec:
    """The experiment that pre-training is handed: all that it does not see is at its default."""
    seen = seen_by_pretraining(experiment)
    assert not seen["protocol"], (
        f"SHARED_RULES must say of {sorted(seen['protocol'])} that pre-training sees no protocol"
    )
    return type(experiment).model_validate({name: part for name, part in seen.items() if name != "protocol"})


def flattened(part: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Dotted path → value of nested plain values; a group of which nothing is left is gone."""
    flat: dict[str, Any] = {}
    for name, value in part.items():
        flat |= flattened(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {f"{prefix}{name}": value}
    return flat


def _remove(part: dict[str, Any], path: list[str]) -> None:
    *way, last = path
    for name in way:
        part = part.get(name, {})
    part.pop(last, None)
