"""Keys: a hash of what may matter to a stage, so that what is finished is recognised and what is shared is run once.

A key has all that is in a spec, less what a rule says does not matter: a setting that nobody thought of is in it.
`tests/study/test_study_keys_walk.py` walks the fields of every spec. Resources, names and the places of tables are in
no key. The code that computes is in it wherever it is not known to give the released results.
"""

from __future__ import annotations

from typing import Any

from scmmlab.config import CorpusSelection, ExperimentSpec, TransferSpec, fingerprint
from scmmlab.config.code_digest import KEYS_VERSION, NUMERICS_VERSION, installed_code, package_digest
from scmmlab.config.plugins import modules_brought
from scmmlab.methods.contract import Rule, always
from scmmlab.methods.pretraining_view import seen_by_pretraining, what_matters
from scmmlab.methods.registry import method_of
from scmmlab.tables import Manifest


def _all_trials(experiment: ExperimentSpec) -> bool:
    return experiment.protocol.tests_all_trials


_NOTHING_IS_CUT = "all trials of a subject are tested"

_SPLIT_RULES = (
    *(
        Rule(f"protocol.{setting}", _all_trials, _NOTHING_IS_CUT)
        for setting in ("trial_order", "finetune_trials", "finetune_share")
    ),
    Rule(
        "protocol.finetune_share",
        lambda e: getattr(e.protocol, "finetune_trials", None) is not None,
        "a number of trials stands in its place",
    ),
)

FINETUNING_RULES = (
    *_SPLIT_RULES,
    Rule("protocol.scale_each_part", lambda e: e.scaling == "none", "nothing is scaled"),
)
"""What does not matter to fine-tuning and figures, given what pre-training left."""

PROBE_RULES = (
    *_SPLIT_RULES,
    Rule("protocol.epoch_selection", always, "a probe has no epochs to choose from"),
)
"""What does not matter to a sweep's probe on validation parts."""


def _numerics(experiment: ExperimentSpec) -> dict[str, Any]:
    code, method = installed_code("cells"), method_of(experiment)
    known: dict[str, Any] = {"keys": KEYS_VERSION, "version": NUMERICS_VERSION, "method": method.version}
    if not code.known:
        known["code"] = code.digest
    if brought := {module: package_digest(module) for module in modules_brought(method.name)}:
        known["package"] = brought
    return known


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
    if not experiment.pretrains:
        return None
    return fingerprint(
        {
            "stage": "pretrain",
            "numerics": _numerics(experiment),
            "experiment": seen_by_pretraining(experiment),
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
            "numerics": _numerics(experiment),
            "pretrain": pretrain_key(experiment, transfer, source, channels, seed),
            "experiment": what_matters(experiment, FINETUNING_RULES + method_of(experiment).rules.finetune),
            # a cell's record names its source even where there is no pre-training
            "source": _data(transfer.source, source, labels_matter=experiment.protocol.trained_on == "source"),
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
            "numerics": _numerics(experiment),
            "pretrain": pretrain_key(experiment, transfer, source, channels, seed),
            "experiment": what_matters(experiment, PROBE_RULES + method_of(experiment).rules.probe),
            "source": _data(transfer.source, source, labels_matter=experiment.protocol.trained_on == "source"),
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
