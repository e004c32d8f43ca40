"""A study of seconds: two small synthetic tables, and an ablation of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from scmmlab.config import AblationSpec, SweepSpec
from scmmlab.study import Plan, make_plan
from scmmlab.tables import FeatureTable, Manifest, read_manifest, write_table

CHANNELS = ("Fz", "Cz", "Pz", "Oz")
BANDS = {"delta": (1, 4), "theta": (4, 8), "alpha": (8, 14), "beta": (14, 31), "gamma": (31, 45)}


def write_tables(folder: Path, unit: float = 1.0) -> None:
    """A source and a target, in which the classes can be told apart; features are counted in `unit`."""
    for name, seed in (("source", 0), ("target", 1)):
        rng = np.random.default_rng(seed)
        keys = np.array([(s, 1, t, w) for s in range(4) for t in range(6) for w in range(6)])
        label = keys[:, 2] % 2
        subject_shift = rng.normal(size=(4, len(CHANNELS), len(BANDS)))[keys[:, 0]]
        noise = rng.normal(size=(len(keys), len(CHANNELS), len(BANDS)))
        manifest = Manifest(
            corpus=name,
            channels=CHANNELS,
            bands=BANDS,
            window_s=1.0,
            classes=("calm", "tense"),
            unit="nat",
            provenance={"origin": "synthetic", "log_base": "e", "form": "half log variance"},
            subjects={number: f"{name}-{number}" for number in range(4)},
        )
        table = FeatureTable.assemble(
            manifest,
            subject=keys[:, 0],
            session=keys[:, 1],
            trial=keys[:, 2],
            window=keys[:, 3],
            label=label,
            features=unit * (noise + subject_shift + 0.8 * label[:, None, None]),
        )
        write_table(table, folder / name)


BASE = {
    "network": {"width": 16, "classifier_width": 8},
    "pretrain": {"epochs": 4, "batch_size": 32},
    "finetune": {"epochs": 3, "batch_size": 16},
    "protocol": {"kind": "honest", "trial_order": "time_within_class", "finetune_share": 0.67},
}
VARIANTS = {
    "full": {},
    "frozen_encoder": {"set": {"finetune.freeze_encoder": True}},
    "no_pretraining": {"set": {"pretrain.enabled": False}},
    "no_contrast": {"set": {"contrast.enabled": False}},
}


def ablation(folder: Path, **changes: object) -> AblationSpec:
    """Four variants, of which two share their pre-training, with two seeds."""
    return AblationSpec.model_validate(
        {"name": "tiny", "base": BASE, "variants": VARIANTS, "transfers": [_transfer(folder)], "seeds": [0, 1]}
        | changes
    )


def ablation_with_a_failure(folder: Path, **changes: object) -> AblationSpec:
    """Features so large that arithmetic overflows unless they are scaled: `unscaled` fails, and its frozen twin too."""
    write_tables(folder, unit=1e30)
    unscaled = {"scaling": "none"}
    variants = {
        "full": {},
        "unscaled": {"set": unscaled},
        "unscaled_frozen": {"set": unscaled | {"finetune.freeze_encoder": True}},
        "no_contrast": {"set": {"contrast.enabled": False}},
    }
    return ablation(folder, variants=variants, seeds=[0], **changes)


def sweep(folder: Path, **changes: object) -> SweepSpec:
    """A search over two settings."""
    return SweepSpec.model_validate(
        {
            "kind": "sweep",
            "name": "tiny-sweep",
            "base": BASE | {"pretrain": {"epochs": 6, "batch_size": 32}},
            "space": {
                "masking.ratio": {"low": 0.1, "high": 0.9},
                "aggregator.top_k": {"choices": [2, 8, None]},
            },
            "transfers": [_transfer(folder)],
            "tune_trials": 6,
            "concurrency": 2,
            "report_every": 2,
            "asha": {"grace_epochs": 2, "reduction_factor": 2},
            "points": [{"masking.ratio": 0.5, "aggregator.top_k": None}],
        }
        | changes
    )


def plan_of(study: AblationSpec | SweepSpec) -> Plan:
    return make_plan(study, read_manifest)


def _transfer(folder: Path) -> dict[str, object]:
    if not (folder / "source").exists():
        write_tables(folder)
    return {
        "name": "source-to-target",
        "source": {"table": str(folder / "source")},
        "target": {"table": str(folder / "target")},
    }
