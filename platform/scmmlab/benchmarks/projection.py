"""How long a study of the paper's size would take, from rates that were measured: arithmetic, with its steps.

Six transfers × ten variants × five seeds, by the settings of `ablations/paper.yaml` and the windows that the corpora
have (docs/corpora.md). A pre-training that several cells need is counted once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

PRETRAIN_EPOCHS, PRETRAIN_BATCH = 200, 256
FINETUNE_EPOCHS, FINETUNE_BATCH = 50, 128
SEEDS = 5

VARIANTS = 10
"""Of which one leaves pre-training out and one only freezes the encoder:"""
PRETRAINED_VARIANTS = 8
"""those that have an encoder of their own."""

SEED_WINDOWS = 15 * 3 * 3394
"""15 subjects, three sessions, windows of 1 s."""
SEED_IV_WINDOWS = 15 * (669 + 562 + 659)
"""15 subjects, three sessions of the trials of three classes, windows of 4 s."""
DEAP_WINDOWS = 32 * 40 * 60
"""32 subjects, 40 trials of 60 windows of 1 s."""

SOURCES = {
    "SEED-IV, for SEED": SEED_IV_WINDOWS,
    "SEED, for SEED-IV of three and of four classes": SEED_WINDOWS,
    "DEAP, for SEED": DEAP_WINDOWS,
    "SEED, for DEAP's valence and arousal": SEED_WINDOWS,
}
"""What is pre-trained on, with which settings and channels → windows. Two pairs of transfers share an encoder."""


@dataclass(frozen=True)
class Target:
    """What a transfer fine-tunes on."""

    folds: int
    """One a subject."""
    windows: int
    """Of a fold's fine-tune part, validation included."""
    epochs: int = FINETUNE_EPOCHS

    @property
    def steps(self) -> int:
        """Steps of all folds."""
        return self.folds * self.epochs * -(-self.windows // FINETUNE_BATCH)


TARGETS = {
    "SEED-IV to SEED": Target(15, 2010),
    "SEED to SEED-IV": Target(15, 440),
    "SEED to SEED-IV, four classes": Target(15, 561),
    "DEAP to SEED": Target(15, 2010),
    "SEED to DEAP, valence": Target(32, 24 * 60, epochs=500),
    "SEED to DEAP, arousal": Target(32, 24 * 60, epochs=500),
}
"""Transfer → its target: one session. Fine-tuned are 9 of SEED's 15 trials, 4 of 6 of each class of SEED-IV, and 24 of
DEAP's 40."""


def pretraining_steps() -> dict[str, int]:
    """Source → steps of one encoder."""
    return {name: PRETRAIN_EPOCHS * (windows // PRETRAIN_BATCH) for name, windows in SOURCES.items()}


def project(rates: Mapping[str, Any], workers: int = 1) -> dict[str, Any]:
    """The study's time, from rates of steps.

    Parameters
    ----------
    rates : mapping
        What `benchmark` gave.
    workers : int
        Workers of such rates that share the study: cores of a CPU, or GPUs.

    Returns
    -------
    dict
        ``hours``, and the arithmetic that leads to them, line by line.
    """
    each = pretraining_steps()
    encoders = PRETRAINED_VARIANTS * SEEDS
    steps = {
        "pretrain": encoders * sum(each.values()),
        "finetune": VARIANTS * SEEDS * sum(target.steps for target in TARGETS.values()),
    }
    best = {kind: max(rates[kind]["packed"].items(), key=lambda item: item[1]) for kind in steps}
    hours = {kind: steps[kind] / (best[kind][1] * workers) / 3600 for kind in steps}

    def lines(kind: str, counted: str) -> list[str]:
        size, rate = best[kind]
        return [
            counted,
            f"{steps[kind]:,} steps / ({rate:,.0f} a second in packs of {size} × {workers}) = {hours[kind]:.3g} h",
        ]

    return {
        "hours": sum(hours.values()),
        "workers": workers,
        "arithmetic": [
            *lines(
                "pretrain",
                f"pre-training: {PRETRAINED_VARIANTS} variants × {SEEDS} seeds × ({_sum(each)})",
            ),
            *lines(
                "finetune",
                f"fine-tuning: {VARIANTS} variants × {SEEDS} seeds × "
                f"({_sum({name: target.steps for name, target in TARGETS.items()})})",
            ),
        ],
    }


def _sum(steps: Mapping[str, int]) -> str:
    return " + ".join(f"{number:,} [{name}]" for name, number in steps.items())
