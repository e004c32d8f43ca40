"""Small studies, manifests and records for tests."""

from __future__ import annotations

from typing import Any

import numpy as np

from scmmlab.config import AblationSpec, CorpusSelection, SweepSpec, TransferSpec
from scmmlab.evaluation import METRICS
from scmmlab.methods.scmm.spec import ScmmSpec
from scmmlab.study import Cell, Plan, make_plan
from scmmlab.tables import Manifest

CHANNELS = ("Fp1", "Fp2", "Cz", "Pz")
BANDS = {"theta": (4.0, 8.0), "alpha": (8.0, 14.0)}


def manifest(corpus: str = "one", **changes: Any) -> Manifest:
    facts: dict[str, Any] = {
        "corpus": corpus,
        "channels": CHANNELS,
        "bands": BANDS,
        "window_s": 1.0,
        "classes": ("rest", "task", "sleep"),
        "unit": "nat",
        "provenance": {"origin": "synthetic", "log_base": "e", "form": "gaussian"},
        "subjects": {number: f"s{number}" for number in range(8)},
        "windows": 800,
        "fingerprint": f"fingerprint-of-{corpus}",
    }
    return Manifest(**{**facts, **changes})


MANIFESTS = {"tables/one": manifest("one"), "tables/two": manifest("two")}


def transfer(**changes: Any) -> TransferSpec:
    facts: dict[str, Any] = {
        "name": "one-to-two",
        "source": CorpusSelection(table="tables/one"),
        "target": CorpusSelection(table="tables/two"),
    }
    return TransferSpec(**{**facts, **changes})


def ablation(**changes: Any) -> AblationSpec:
    facts: dict[str, Any] = {
        "name": "small",
        "base": ScmmSpec(),
        "variants": {
            "full": {},
            "no_aggregator": {"set": {"aggregator.enabled": False}},
            "frozen": {"set": {"finetune.freeze_encoder": True}},
            "no_pretraining": {"set": {"pretrain.enabled": False}},
        },
        "transfers": [transfer()],
        "seeds": [0, 1],
    }
    return AblationSpec(**{**facts, **changes})


def sweep(**changes: Any) -> SweepSpec:
    facts: dict[str, Any] = {
        "name": "search",
        "space": {"masking.ratio": {"low": 0.1, "high": 0.9}, "masking.mode": {"choices": ["random", "hybrid"]}},
        "transfers": [transfer()],
    }
    return SweepSpec(**{**facts, **changes})


def plan_of(study: AblationSpec | SweepSpec | None = None, manifests: dict[str, Manifest] | None = None) -> Plan:
    return make_plan(study or ablation(), (manifests or MANIFESTS).__getitem__)


def record(cell: Cell, seed: int = 0) -> dict[str, Any]:
    """A record of the form that the evaluate stage makes, with numbers that no short text can hold."""
    random = np.random.default_rng(seed)

    def figures() -> dict[str, float]:
        return {name: float(random.random()) for name in METRICS}

    folds = [
        {
            "name": f"subjects {first}-{first + 3}",
            "subjects": list(range(first, first + 4)),
            "windows": {"finetune": 30, "validation": 10, "test": 20},
            "epoch": 50,
            "validation": None if cell.experiment.protocol.kind == "released" else figures(),
            "test": figures(),
            "confusion": [[5, 1, 0], [2, 6, 1], [0, 1, 4]],
            "by_subject": {str(subject): figures() for subject in range(first, first + 4)},
        }
        for first in (0, 4)
    ]
    curve = [{"epoch": epoch, "loss": 2.0 / epoch, "contrast": 1.0 / epoch} for epoch in range(1, 6)]
    return {
        "format": 1,
        "key": cell.key,
        "experiment": cell.experiment.model_dump(mode="json"),
        "transfer": cell.transfer.model_dump(mode="json"),
        "seed": cell.seed,
        "channels": list(cell.channels),
        "classes": ["rest", "task", "sleep"],
        "protocol": cell.experiment.protocol.kind,
        "leaks": [],
        "folds": folds,
        "curves": {"pretrain": curve, "finetune": [{"epoch": 1, "loss": 0.5, "train_accuracy": 0.9}]},
        "source_fingerprint": "a",
        "target_fingerprint": "b",
        "numerics": "1",
    }
