"""Reading through what a study has in the store, to find what is damaged before it is needed."""

from __future__ import annotations

from collections.abc import Callable

from scmmlab.study.plan import Plan
from scmmlab.study.store import ResultStore


def read_through(plan: Plan, store: ResultStore, progress: Callable[[int, int], None]) -> tuple[int, int]:
    """Read the encoders and the fine-tunings of `plan`, which are otherwise read where they are needed.

    Damaged ones are set aside, with a warning that names them, and count as missing from then on. Records and failures
    are read whenever the study is looked at.

    Parameters
    ----------
    plan : Plan
        The study.
    store : ResultStore
        Where its objects are.
    progress : callable
        Is told how many were read, of how many.

    Returns
    -------
    tuple of int
        Objects that are whole, and that are not.

    Raises
    ------
    StoreError
        If the store cannot be read.
    """
    encoders = sorted(store.keys("pretrain") & plan.pretraining.keys())
    finetunings = sorted(store.keys("finetune") & plan.distinct.keys())
    reads = [(store.get_pretrain, key) for key in encoders] + [(store.get_finetune, key) for key in finetunings]
    whole = 0
    for done, (read, key) in enumerate(reads):
        progress(done, len(reads))
        whole += read(key) is not None
    progress(len(reads), len(reads))
    return whole, len(reads) - whole
