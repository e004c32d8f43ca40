"""Keys: a hash of what matters to a stage, so that what is finished is recognised and what is shared is run once.

A key names what matters by removing what does not, one rule a line; `tests/study/test_study_keys.py` holds each rule.
Resources, names and the places of tables are in no key.
"""

from __future__ import annotations

from typing import Any

from scmmlab.config import (
    CorpusSelection,
    ExperimentSpec,
    HonestProtocol,
    LosoProtocol,
    ProtocolSpec,
    ReleasedProtocol,
    TransferSpec,
    ZeroShotProtocol,
    fingerprint,
)
from scmmlab.model.version import NUMERICS_VERSION
from scmmlab.tables import Manifest


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
            "numerics": NUMERICS_VERSION,
            "experiment": pretraining_part(experiment),
            "source": _data(transfer.source, source, labels_matter=False),
            "channels": _spelling_removed(channels),
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
            "numerics": NUMERICS_VERSION,
            "pretrain": pretrain_key(experiment, transfer, source, channels, seed),
            "experiment": finetuning_part(experiment),
            # a cell's record names its source even where there is no pre-training
            "source": _data(transfer.source, source, labels_matter=experiment.protocol.kind == "zero_shot"),
            "target": _data(transfer.target, target, labels_matter=True),
            "channels": _spelling_removed(channels),
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
    protocol = experiment.protocol
    return fingerprint(
        {
            "stage": "sweep",
            "numerics": NUMERICS_VERSION,
            "pretrain": pretrain_key(experiment, transfer, source, channels, seed),
            "protocol": {"kind": protocol.kind, **_split(protocol)},
            "source": _data(transfer.source, source, labels_matter=protocol.kind == "zero_shot"),
            "target": _data(transfer.target, target, labels_matter=True),
            "channels": _spelling_removed(channels),
            "seed": seed,
            "width": experiment.network.width,
            "scaling": experiment.scaling,
            "report_every": report_every,
        }
    )


def pretraining_part(experiment: ExperimentSpec) -> dict[str, Any]:
    """What of `experiment` decides the pre-trained encoder, as plain values."""
    masking, contrast, loss = experiment.masking, experiment.contrast, experiment.loss
    part: dict[str, Any] = {
        "width": experiment.network.width,
        "scaling": experiment.scaling,
        "pretrain": experiment.pretrain.model_dump(mode="json", exclude={"enabled"}),
        "views": masking.views,
        "mask": masking.mode,
        "contrast": contrast.enabled,
        "reconstruction": experiment.reconstruction.enabled,
        "weighting": loss.weighting,
    }
    if masking.mode != "none":
        part["ratio"] = masking.ratio
    if masking.mode in ("parallel", "hybrid"):
        part["threshold"] = masking.threshold
    if contrast.enabled:
        part["weights"] = contrast.weights
        if contrast.weights == "soft":
            part["distance"] = contrast.distance
            part["upper_bound"] = contrast.upper_bound
            part["soft_weight_temperature"] = contrast.soft_weight_temperature
    aggregates = experiment.reconstruction.enabled and experiment.aggregator.enabled
    if experiment.reconstruction.enabled:
        part["aggregator"] = experiment.aggregator.enabled
    if aggregates:
        part["top_k"] = experiment.aggregator.top_k
    if contrast.enabled or aggregates:
        part["temperature"] = contrast.temperature
    if loss.weighting == "fixed" and contrast.enabled:
        part["contrast_weight"] = loss.contrast_weight
    if loss.weighting == "fixed" and experiment.reconstruction.enabled:
        part["reconstruction_weight"] = loss.reconstruction_weight
    if isinstance(experiment.protocol, ReleasedProtocol):
        part |= _released_pretraining(experiment, experiment.protocol)
    return part | _precision(experiment)


def finetuning_part(experiment: ExperimentSpec) -> dict[str, Any]:
    """What of `experiment` decides fine-tuning and figures, given the encoder, as plain values."""
    protocol = experiment.protocol
    finetune = experiment.finetune.model_dump(mode="json")
    part: dict[str, Any] = {
        "network": experiment.network.model_dump(mode="json"),
        "scaling": experiment.scaling,
        "finetune": finetune,
        "protocol": protocol.kind,
        "epoch_selection": protocol.epoch_selection,
        "split": _split(protocol),
    }
    if isinstance(protocol, ReleasedProtocol):
        part["zero_grad"] = protocol.zero_grad
        part["reload_best_training"] = protocol.reload_best_training
        part["accuracy"] = protocol.accuracy
        if experiment.scaling != "none":
            part["scale_each_part"] = protocol.scale_each_part
        if protocol.constant_learning_rate:
            finetune["optimizer"]["schedule"] = "constant"
    return part | _precision(experiment)


def _precision(experiment: ExperimentSpec) -> dict[str, Any]:
    """The precision; nothing where it is float32, which keys of before it could be chosen meant."""
    return {} if experiment.precision == "float32" else {"precision": experiment.precision}


def _released_pretraining(experiment: ExperimentSpec, protocol: ReleasedProtocol) -> dict[str, Any]:
    """What the released code does to pre-training; nothing where its quirks are off, or make no difference."""
    part: dict[str, Any] = {}
    if protocol.overwrite_originals and experiment.masking.views == 1 and experiment.masking.mode != "none":
        part["overwrite_originals"] = True
    if protocol.pretrain_batches is not None:
        part["pretrain_batches"] = protocol.pretrain_batches
    return part


def _split(protocol: ProtocolSpec) -> dict[str, Any]:
    """What decides the folds."""
    part: dict[str, Any] = {"subjects_per_fold": protocol.subjects_per_fold}
    if isinstance(protocol, HonestProtocol | LosoProtocol | ZeroShotProtocol):
        part["validation_share"] = protocol.validation_share
    if isinstance(protocol, ReleasedProtocol):
        part["split"] = protocol.split
        if protocol.split == "leave_subjects_out":
            return part
    if isinstance(protocol, HonestProtocol | ReleasedProtocol):
        part["trial_order"] = protocol.trial_order
        if protocol.finetune_trials is None:
            part["finetune_share"] = protocol.finetune_share
        else:
            part["finetune_trials"] = protocol.finetune_trials
    return part


def _data(selection: CorpusSelection, manifest: Manifest, labels_matter: bool) -> dict[str, Any]:
    """The identity of a selected part of a table. Rows keep the table's order, whatever the selection's."""
    classes = list(selection.classes or manifest.classes)
    members = [list(selection.members(name)) for name in classes] if selection.class_map else None
    if members == [[name] for name in classes]:
        members = None  # the same as no map
    if members is not None and not labels_matter:
        # without labels, only which windows take part
        classes, members = sorted(member for group in members for member in group), None
    part: dict[str, Any] = {
        "table": manifest.fingerprint,
        "subjects": sorted(manifest.subjects if selection.subjects is None else selection.subjects),
        "sessions": None if selection.sessions is None else sorted(selection.sessions),
        "classes": classes if labels_matter else sorted(classes),
    }
    if members is not None:
        part["class_map"] = [sorted(group) for group in members]
    return part


def _spelling_removed(channels: tuple[str, ...]) -> list[str]:
    return [name.lower() for name in channels]
