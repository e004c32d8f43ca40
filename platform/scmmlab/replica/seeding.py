"""Seeds: each purpose of a cell has its own, derived from the cell's seed and from nothing else."""

from __future__ import annotations

import hashlib

PRETRAIN = "pretrain"
"""Purpose of the initial encoder, its batches and its masks."""
PRETRAIN_BATCHES, FINETUNE_BATCHES = "pretrain/batches", "finetune/batches"
"""Purposes of the random orders of windows."""


def derive_seed(seed: int, purpose: str) -> int:
    """The seed of one purpose, a non-negative 63-bit integer.

    It depends on the two arguments alone: not on the variant, so that variants of one seed start from the same
    weights and see the same batches (their differences are paired), and not on any global generator.

    Parameters
    ----------
    seed : int
        Seed of the cell.
    purpose : str
        For example ``pretrain``, or ``finetune/subject 3``.
    """
    digest = hashlib.sha256(f"{seed}/{purpose}".encode()).digest()
    # 63 bits: int64 tensors hold it without a sign
    return int.from_bytes(digest[:8], "little") >> 1


def finetune_purpose(fold: str) -> str:
    """Purpose of the classifier and the batches of the fold named `fold`."""
    return f"finetune/{fold}"
