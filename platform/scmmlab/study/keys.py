"""Keys: a hash of what may matter to a stage, so that what is finished is recognised and what is shared is run once.

A key has all that is in a spec, less what a rule says does not matter: a setting that nobody thought of is in it.
`tests/study/test_study_keys_walk.py` walks the fields of every spec. Resources, names and the places of tables are in
no key. The code that computes is in it wherever it is not known to give the released results.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from scmmlab.config import (
    CorpusSelection,
    ExperimentSpec,
    TransferSpec,
    fingerprint,
)
from scmmlab.config.code_digest import KEYS_VERSION, NUMERICS_VERSION, installed_code
from scmmlab.tables import Manifest


@dataclass(frozen=True)
class Rule:
    """A setting, or a group of them, that does not matter under a condition.

    Parameters
    ----------
    path : str
        Dotted path in the experiment.
    when : callable
        Whether it does not matter in an experiment that has it.
    why : str
        The reason.
    """

    path: str
    when: Callable[[ExperimentSpec], bool]
    why: str


def _always(experiment: ExperimentSpec) -> bool:
    return True


def _released(experiment: ExperimentSpec, setting: str) -> Any:
    """A setting of the protocol `released`; None under the others."""
    return getattr(experiment.protocol, setting, None)


def _aggregates(experiment: ExperimentSpec) -> bool:
    return experiment.reconstruction.enabled and experiment.aggregator.enabled


def _soft(experiment: ExperimentSpec) -> bool:
    return experiment.contrast.enabled and experiment.contrast.weights == "soft"


_BY_SUBJECTS_ALONE = "a split by subjects cuts no subject's trials"
_AFTERWARDS = "pre-training is over before it is looked at"

PRETRAINING_RULES = (
    Rule("pretrain.enabled", _always, "where it is off, there is no such stage and no key"),
    Rule("finetune", _always, _AFTERWARDS),
    Rule("network.classifier_width", _always, "the classifier is made in fine-tuning"),
    Rule("masking.ratio", lambda e: e.masking.mode == "none", "nothing is hidden"),
    Rule(
        "masking.threshold", lambda e: e.masking.mode not in ("parallel", "hybrid"), "only they draw between two ways"
    ),
    Rule("contrast.weights", lambda e: not e.contrast.enabled, "they weigh pairs of the contrastive loss"),
    Rule("contrast.distance", lambda e: not _soft(e), "only soft weights look at distances"),
    Rule("contrast.upper_bound", lambda e: not _soft(e), "only soft weights are bounded"),
    Rule("contrast.soft_weight_temperature", lambda e: not _soft(e), "only soft weights have it"),
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
    Rule("protocol.kind", _always, "what it does to pre-training are settings of its own"),
    *(
        Rule(f"protocol.{setting}", _always, _AFTERWARDS)
        for setting in (
            "subjects_per_fold",
            "trial_order",
            "finetune_trials",
            "finetune_share",
            "validation_share",
            "epoch_selection",
            "split",
            "scale_each_part",
            "zero_grad",
            "reload_best_training",
            "constant_learning_rate",
            "accuracy",
        )
    ),
    Rule(
        "protocol.overwrite_originals",
        lambda e: not _released(e, "overwrite_originals") or e.masking.views != 1 or e.masking.mode == "none",
        "without it as under any other protocol; only one masked view is written over what it was made from",
    ),
    Rule(
        "protocol.pretrain_batches",
        lambda e: _released(e, "pretrain_batches") is None,
        "all batches, as under any other protocol",
    ),
)
"""What does not matter to the pre-trained encoder."""

_SPLIT_RULES = (
    *(
        Rule(f"protocol.{setting}", lambda e: _released(e, "split") == "leave_subjects_out", _BY_SUBJECTS_ALONE)
        for setting in ("trial_order", "finetune_trials", "finetune_share")
    ),
    Rule(
        "protocol.finetune_share",
        lambda e: getattr(e.protocol, "finetune_trials", None) is not None,
        "a number of trials stands in its place",
    ),
)

_ENCODER_RULES = tuple(
    Rule(path, _always, "decides the encoder alone, whose key is part of this one")
    for path in (
        "masking",
        "contrast",
        "aggregator",
        "reconstruction",
        "loss",
        "pretrain",
        "protocol.overwrite_originals",
        "protocol.pretrain_batches",
    )
)

FINETUNING_RULES = (
    *_ENCODER_RULES,
    *_SPLIT_RULES,
    Rule("protocol.scale_each_part", lambda e: e.scaling == "none", "nothing is scaled"),
    Rule(
        "finetune.optimizer.schedule",
        lambda e: bool(_released(e, "constant_learning_rate")),
        "the step size stays what it was, whatever the schedule",
    ),
)
"""What does not matter to fine-tuning and figures, given the encoder."""

PROBE_RULES = (
    *_ENCODER_RULES,
    *_SPLIT_RULES,
    Rule("finetune", _always, "a probe is no fine-tuning"),
    Rule("network.classifier_width", _always, "a probe has a classifier of its own"),
    Rule("precision", _always, "of the encoder's training, whose key is part of this one; a probe is float32"),
    Rule("protocol.epoch_selection", _always, "a probe has no epochs to choose from"),
)
"""What does not matter to a sweep's probe of an encoder on validation parts."""


def what_matters(experiment: ExperimentSpec, rules: tuple[Rule, ...]) -> dict[str, Any]:
    """An experiment as plain values, less what rules say does not matter."""
    # as what they are, and not as what they are declared as: a spec that was extended brings all its fields
    part = experiment.model_dump(mode="json", serialize_as_any=True)
    for rule in rules:
        if rule.when(experiment):
            _remove(part, rule.path.split("."))
    return part


def _remove(part: dict[str, Any], path: list[str]) -> None:
    *way, last = path
    for name in way:
        part = part.get(name, {})
    part.pop(last, None)


def _numerics() -> dict[str, Any]:
    code = installed_code("cells")
    known = {"keys": KEYS_VERSION, "version": NUMERICS_VERSION}
    return known if code.known else {**known, "code": code.digest}


def pretrain_key(
    experiment: ExperimentSpec, transfer: TransferSpec, source: Manifest, channels: tuple[str, ...], seed: int
) -> str | None:
    """Identity of a cell's pre-train stage.

    Parameters
    ----------
    experiment : ExperimentSpec
        Of which fine-tuning, folds and protocol do not matter, but for what `released` does to pre-training.
    transfer : TransferSpec
        Of which only the source matters.
    source : Manifest
        Of the source's table.
    channels : tuple of str
        What the model sees, in order.
    seed : int
        Seed of the cell.

    Returns
    -------
    str | None
        None where there is no pre-training.
    """
    if not experiment.pretrain.enabled:
        return None
    return fingerprint(
        {
            "stage": "pretrain",
            "numerics": _numerics(),
            "experiment": what_matters(experiment, PRETRAINING_RULES),
            "source": _data(transfer.source, source, labels_matter=False),
            "channels": _spelling_removed(channels),
            "transfer": _transfer(transfer),
            "seed": seed,
        }
    )


def cell_key(
    experiment: ExperimentSpec,
    transfer: TransferSpec,
    source: Manifest,
    target: Manifest,
    channels: tuple[str, ...],
    seed: int,
) -> str:
    """Identity of a cell: of its pre-training, its fine-tuning, and what it is judged on.

    Parameters are those of `pretrain_key`, and the manifest of the target's table.
    """
    return fingerprint(
        {
            "stage": "cell",
            "numerics": _numerics(),
            "pretrain": pretrain_key(experiment, transfer, source, channels, seed),
            "experiment": what_matters(experiment, FINETUNING_RULES),
            # a cell's record names its source even where there is no pre-training
            "source": _data(transfer.source, source, labels_matter=experiment.protocol.kind == "zero_shot"),
            "target": _data(transfer.target, target, labels_matter=True),
            "channels": _spelling_removed(channels),
            "transfer": _transfer(transfer),
            "seed": seed,
        }
    )


def sweep_key(
    experiment: ExperimentSpec,
    transfer: TransferSpec,
    source: Manifest,
    target: Manifest,
    channels: tuple[str, ...],
    seed: int,
    report_every: int,
) -> str:
    """Identity of a setting of a sweep: of its pre-training, and of the validation parts that it is probed on.

    Parameters are those of `cell_key`, and the epochs between two probes.
    """
    return fingerprint(
        {
            "stage": "sweep",
            "numerics": _numerics(),
            "pretrain": pretrain_key(experiment, transfer, source, channels, seed),
            "experiment": what_matters(experiment, PROBE_RULES),
            "source": _data(transfer.source, source, labels_matter=experiment.protocol.kind == "zero_shot"),
            "target": _data(transfer.target, target, labels_matter=True),
            "channels": _spelling_removed(channels),
            "transfer": _transfer(transfer),
            "seed": seed,
            "report_every": report_every,
        }
    )


def _data(selection: CorpusSelection, manifest: Manifest, labels_matter: bool) -> dict[str, Any]:
    """The identity of a selected part of a table. Rows keep the table's order, whatever the selection's."""
    classes = list(selection.classes or manifest.classes)
    members = [list(selection.members(name)) for name in classes] if selection.class_map else None
    if members == [[name] for name in classes]:
        members = None  # the same as no map
    if members is not None and not labels_matter:
        # without labels, only which windows take part
        classes, members = sorted(member for group in members for member in group), None
    return selection.model_dump(mode="json", serialize_as_any=True) | {
        # by what is in it, wherever it lies
        "table": manifest.fingerprint,
        "subjects": sorted(manifest.subjects if selection.subjects is None else selection.subjects),
        "sessions": None if selection.sessions is None else sorted(selection.sessions),
        "classes": classes if labels_matter else sorted(classes),
        "class_map": None if members is None else [sorted(group) for group in members],
    }


_NOT_OF_A_TRANSFER = {
    "name": "for people",
    "source": "by its data",
    "target": "by its data",
    "mixed_features": "allows what is done, and does nothing",
    "set": "is part of the experiment by now",
}
"""Fields of a transfer that are in no key by themselves, and why."""


def _transfer(transfer: TransferSpec) -> dict[str, Any]:
    """Whatever else a transfer may say."""
    return transfer.model_dump(mode="json", serialize_as_any=True, exclude=set(_NOT_OF_A_TRANSFER))


def _spelling_removed(channels: tuple[str, ...]) -> list[str]:
    return [name.lower() for name in channels]
