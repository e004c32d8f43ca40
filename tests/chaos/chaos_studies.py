"""The studies that are killed: of seconds, with all that a study has, and every digit of their tables is settled."""

from __future__ import annotations

from pathlib import Path

import yaml
from tiny_study import BASE, ablation, sweep

from scmmlab.config import AblationSpec, SweepSpec

PRETRAIN_EPOCHS = 120
SWEEP_EPOCHS = 90
REPORT_EVERY = 3
MAX_FAILURES = 1
"""Of `wide`: fewer than a machine has workers."""


def write_studies(folder: Path) -> dict[str, Path]:
    """Study files by name, beside their two tables.

    ``grid``: four variants, of which two share their encoder, with two seeds, a replica at a time.
    ``wide``: the same on as many workers as there is room for, of which hardly any may crash.
    ``search``: settings drawn by chance, two at a time in each worker's slots, none stopped.
    ``halving``: what a sampler and the rungs have seen decides, several at a time, in an order that no strike changes.
    """
    base = {**BASE, "pretrain": {"epochs": PRETRAIN_EPOCHS, "batch_size": 24}}
    resources = {"checkpoint_every": 4, "pack_size": 1, "workers": 2}
    settings = {"base": base | {"pretrain": {"epochs": SWEEP_EPOCHS, "batch_size": 24}}, "report_every": REPORT_EVERY}
    studies: dict[str, AblationSpec | SweepSpec] = {
        "grid": ablation(folder, name="grid", base=base, resources=resources),
        "wide": ablation(
            folder,
            name="wide",
            base=base,
            resources={"checkpoint_every": 4, "pack_size": 1, "max_failures": MAX_FAILURES},
        ),
        "search": sweep(
            folder,
            name="search",
            asha=None,
            sampler="random",
            tune_trials=6,
            concurrency=4,
            resources={"checkpoint_every": 4, "pack_size": 2, "workers": 2},
            **settings,
        ),
        "halving": sweep(
            folder,
            name="halving",
            asha={"grace_epochs": 6, "reduction_factor": 2},
            tune_trials=8,
            concurrency=3,
            resources={"checkpoint_every": 4, "pack_size": 2, "workers": 2},
            **settings,
        ),
    }
    files = {}
    for name, study in studies.items():
        files[name] = folder / f"{name}.yaml"
        files[name].write_text(yaml.safe_dump(study.model_dump(mode="json")))
    return files
