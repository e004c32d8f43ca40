"""What of SCMM's settings does not matter to which stage."""

from __future__ import annotations

from functools import cache, reduce
from typing import Any

from scmmlab.methods.contract import KeyRules, Rule, always
from scmmlab.methods.scmm.spec import AugmentationSpec, ScmmSpec


def _aggregates(experiment: ScmmSpec) -> bool:
    return experiment.reconstruction.enabled and experiment.aggregator.enabled


def _soft(experiment: ScmmSpec) -> bool:
    return experiment.contrast.enabled and experiment.positives == "neighbours"


def _in_time(experiment: ScmmSpec) -> bool:
    return experiment.contrast.enabled and experiment.positives == "trial_time"


@cache
def _spec_defaults(spec: type[ScmmSpec]) -> ScmmSpec:
    return spec()


def _defaults(experiment: ScmmSpec) -> ScmmSpec:
    return _spec_defaults(type(experiment))


def _value(experiment: ScmmSpec, path: str) -> Any:
    return reduce(getattr, path.split("."), experiment)


def _came_later(path: str, before: Any) -> Rule:
    """A setting that came later, where it means what was always done, and an experiment without it does that too."""

    def as_ever(experiment: ScmmSpec) -> bool:
        return bool(_value(experiment, path) == before == _value(_defaults(experiment), path))

    return Rule(path, as_ever, f"absent as {before}, which was always done")


ADDED: dict[str, Any] = {
    "masking.originals": True,
    "augmentation.noise": 0.0,
    "augmentation.gain": 0.0,
    "augmentation.mixup": None,
    "contrast.similarity": "dot",
    "contrast.normaliser": "pairs",
    "reconstruction.target": "self",
    "reconstruction.on": "all",
}
"""Settings that came after the first version → what was done without them."""

_AFTERWARDS = "pre-training is over before it is looked at"

_PRETRAINING = (
    Rule("pretrain.enabled", always, "where it is off, there is no such stage and no key"),
    Rule("finetune", always, _AFTERWARDS),
    Rule("network.classifier_width", always, "the classifier is made in fine-tuning"),
    Rule("masking.ratio", lambda e: e.masking.mode == "none", "nothing is hidden"),
    Rule(
        "masking.threshold", lambda e: e.masking.mode not in ("parallel", "hybrid"), "only they draw between two ways"
    ),
    Rule(
        "masking.overwrite_originals",
        lambda e: not e.overwrites_originals or e.masking.views != 1 or e.masking.mode == "none",
        "absent as off; only one masked view is written over what it was made from",
    ),
    Rule("pretrain.batches", lambda e: e.pretrain_batches is None, "all batches, said or not"),
    *(_came_later(path, before) for path, before in ADDED.items()),
    Rule(
        "augmentation",
        lambda e: e.augmentation == AugmentationSpec() == _defaults(e).augmentation,
        "absent as none, which was always done",
    ),
    Rule("contrast.positives", lambda e: not _in_time(e), "the weights say it"),
    Rule("contrast.half_life", lambda e: not _in_time(e), "only weights in time have it"),
    Rule(
        "contrast.similarity",
        lambda e: not e.contrast.enabled and not _aggregates(e),
        "contrastive loss and aggregator alone look at similarities",
    ),
    Rule("contrast.normaliser", lambda e: not e.contrast.enabled, "it divides the contrastive loss"),
    Rule("reconstruction.target", lambda e: not e.reconstruction.enabled, "nothing is reconstructed"),
    Rule("reconstruction.on", lambda e: not e.reconstruction.enabled, "nothing is reconstructed"),
    Rule("contrast.weights", lambda e: not e.contrast.enabled, "they weigh pairs of the contrastive loss"),
    Rule("contrast.distance", lambda e: not _soft(e), "only weights of neighbours look at distances"),
    Rule("contrast.upper_bound", lambda e: not _soft(e) and not _in_time(e), "only soft weights are bounded"),
    Rule("contrast.soft_weight_temperature", lambda e: not _soft(e), "only weights of neighbours have it"),
    Rule(
        "contrast.temperature",
        lambda e: not e.contrast.enabled and not _aggregates(e),
        "contrastive loss and aggregator alone look at similarities",
    ),
    Rule("aggregator", lambda e: not e.reconstruction.enabled, "what it makes is only reconstructed from"),
    Rule("aggregator.top_k", lambda e: not _aggregates(e), "it says how many rows are aggregated"),
    Rule(
        "loss.contrast_weight",
        lambda e: e.loss.weighting != "fixed" or not e.contrast.enabled,
        "a fixed weight of the contrastive loss",
    ),
    Rule(
        "loss.reconstruction_weight",
        lambda e: e.loss.weighting != "fixed" or not e.reconstruction.enabled,
        "a fixed weight of the reconstruction loss",
    ),
)

_OF_THE_ENCODER = tuple(
    Rule(path, always, "decides the encoder alone, whose key is part of this one")
    for path in ("masking", "augmentation", "contrast", "aggregator", "reconstruction", "loss", "pretrain")
)

_FINETUNING = (
    *_OF_THE_ENCODER,
    Rule(
        "finetune.optimizer.schedule",
        lambda e: e.constant_learning_rate,
        "the step size stays what it was, whatever the schedule",
    ),
)

_PROBE = (
    *_OF_THE_ENCODER,
    Rule("finetune", always, "a probe is no fine-tuning"),
    Rule("network.classifier_width", always, "a probe has a classifier of its own"),
    Rule("precision", always, "of the encoder's training, whose key is part of this one; a probe is float32"),
)

PER_REPLICA = tuple(
    Rule(path, always, "each replica of a pack has its own")
    for path in (
        "scaling",
        "masking.mode",
        "masking.ratio",
        "masking.threshold",
        "masking.overwrite_originals",
        "augmentation.noise",
        "augmentation.gain",
        "contrast.enabled",
        "contrast.weights",
        "contrast.distance",
        "contrast.upper_bound",
        "contrast.soft_weight_temperature",
        "contrast.temperature",
        "contrast.half_life",
        "contrast.similarity",
        "contrast.normaliser",
        "aggregator.enabled",
        "aggregator.top_k",
        "reconstruction.enabled",
        "reconstruction.target",
        "reconstruction.on",
        "loss.weighting",
        "loss.contrast_weight",
        "loss.reconstruction_weight",
        "pretrain.epochs",
        "pretrain.batches",
        "pretrain.optimizer.learning_rate",
        "pretrain.optimizer.beta1",
        "pretrain.optimizer.beta2",
        "pretrain.optimizer.weight_decay",
        "pretrain.optimizer.schedule",
    )
)
"""What, of what pre-training sees, may differ within a pack; all else has one value there."""

RULES = KeyRules(pretrain=_PRETRAINING, finetune=_FINETUNING, probe=_PROBE)
"""The rules of each stage."""
