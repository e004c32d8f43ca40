"""A study of two workers, and something that happens in the middle of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tiny_study import ablation

from scmmlab.tracking import Tracker

EPOCHS = 60


def study_of_two_packs(folder: Path, epochs: int = EPOCHS, seeds: Sequence[int] = (0,), **resources: object):
    """Two pre-trainings for each seed; checkpoints are made for no other reason than that a worker leaves."""
    base = {"pretrain.epochs": epochs}
    variants = {"full": {"set": base}, "no_contrast": {"set": base | {"contrast.enabled": False}}}
    limits = {"checkpoint_every": 1_000_000, "pack_size": 1, "max_failures": 0}
    return ablation(folder, variants=variants, seeds=list(seeds), resources=limits | resources)


class At(Tracker):
    """Does something once, when pre-trainings (so many of them) have got to some epoch."""

    def __init__(self, epoch, act, of=1):
        self._epoch, self._act, self._of, self.done = epoch, act, of, False
        self._there = set()

    def epoch(self, key, stage, epoch, metrics):
        if stage == "pretrain" and epoch >= self._epoch:
            self._there.add(key)
        if len(self._there) >= self._of and not self.done:
            self.done = True
            self._act()
