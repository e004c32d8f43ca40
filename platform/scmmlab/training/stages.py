"""The stages as engines call them: requests in, outputs or failures out."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace
from typing import TypeVar

import torch

from scmmlab.methods.contract import InputShape, PretrainRun
from scmmlab.replica.windows import WindowPool
from scmmlab.training.data import Selections, Tables, cell_data, pretrain_data
from scmmlab.training.encoder_slots import pretrain_run, stage_failure, train_encoders
from scmmlab.training.evaluate import evaluate_cell
from scmmlab.training.finetune_stage import cell_run, finetune_cells
from scmmlab.training.memory import MemoryLimit
from scmmlab.training.packs import finetune_pack_size, in_groups, pack_signature, pretrain_pack_size
from scmmlab.training.pretrain_stage import pretrain_output
from scmmlab.training.reporter import Reporter
from scmmlab.training.requests import CellRequest, PretrainRequest, StageFailure, StageKind, StageOutput, SweepRequest
from scmmlab.training.sweep_stage import SweepSlots

Request = TypeVar("Request", PretrainRequest, CellRequest)
Prepared = TypeVar("Prepared")
Outcome = StageOutput | StageFailure


def run_pretrain_stage(
    requests: Sequence[PretrainRequest],
    tables: Tables,
    reporter: Reporter,
    device: str = "cpu",
    checkpoint_every: int = 10,
    pack_size: int | None = None,
) -> list[Outcome]:
    """Pre-train `requests`, those whose tensors fit together in packs.

    Parameters
    ----------
    requests : sequence of PretrainRequest
        What is to be pre-trained, with different keys.
    tables : callable
        Location → feature table. Called once for each location; labels are not read.
    reporter : Reporter
        Is told of every epoch and keeps checkpoints. What it raises is raised here, and the same call goes on later
        from the checkpoints, with the same numbers.
    device : str
        ``cpu`` or ``cuda``.
    checkpoint_every : int
        Epochs between checkpoints.
    pack_size : int | None
        Encoders that train together, at most; chosen by the device when None. It changes no result.

    Returns
    -------
    list of StageOutput | StageFailure
        In the order of `requests`. An error of one request is its failure; the others go on.
    """
    selections = Selections(tables)
    runs, outcomes = _prepare(
        requests, "pretrain", lambda r: pretrain_run(r.key, r.experiment, r.seed, pretrain_data(r, selections))
    )
    by_key = {request.key: request for request in requests}
    size, memory_limit = pack_size or pretrain_pack_size(device), MemoryLimit()
    for pack in in_groups(list(runs), lambda key: _run_signature(runs[key]), size):
        members = [runs[key] for key in pack]
        pool = WindowPool([run.data.features for run in members], device, torch.float32)
        for outcome in train_encoders(members, pool, reporter, checkpoint_every, memory_limit=memory_limit):
            if isinstance(outcome, StageFailure):
                outcomes[outcome.key] = outcome
            else:
                outcomes[outcome.run.key] = pretrain_output(by_key[outcome.run.key], outcome)
    return [_halved_to(memory_limit, outcomes[request.key]) for request in requests]


def run_cell_stage(
    requests: Sequence[CellRequest],
    tables: Tables,
    reporter: Reporter,
    device: str = "cpu",
    checkpoint_every: int = 10,
    pack_size: int | None = None,
) -> list[Outcome]:
    """Fine-tune the folds of `requests` in packs. The outputs hold predictions of test windows; no test label is read.

    Parameters
    ----------
    requests : sequence of CellRequest
        What is to be fine-tuned, with different keys.
    tables, reporter, device, checkpoint_every
        As in `run_pretrain_stage`.
    pack_size : int | None
        Folds that train together, at most; chosen by the device when None. It changes no result.

    Returns
    -------
    list of StageOutput | StageFailure
        In the order of `requests`. A cell fails when one of its folds does; the others go on.
    """
    selections = Selections(tables)
    cells, outcomes = _prepare(requests, "finetune", lambda request: cell_run(request, cell_data(request, selections)))
    size, memory_limit = pack_size or finetune_pack_size(device), MemoryLimit()
    if cells:
        for outcome in finetune_cells(list(cells.values()), reporter, device, checkpoint_every, size, memory_limit):
            outcomes[outcome.key] = outcome
    return [_halved_to(memory_limit, outcomes[request.key]) for request in requests]


def run_evaluate_stage(request: CellRequest, finetuned: StageOutput, tables: Tables) -> StageOutput:
    """Open the sealed test labels of a fine-tuned cell and compute its figures; see `evaluate.evaluate_cell`."""
    return evaluate_cell(request, finetuned, tables)


def run_sweep_stage(
    request: SweepRequest,
    tables: Tables,
    reporter: Reporter,
    device: str = "cpu",
    checkpoint_every: int = 10,
) -> Outcome:
    """Pre-train a setting of a sweep alone, and probe it on validation parts; see `sweep_stage.SweepSlots`."""
    slots = SweepSlots(tables, reporter, device, checkpoint_every)
    ended = slots.join([request])
    while slots.used:
        ended += slots.epoch()
    (outcome,) = ended
    return outcome


def _run_signature(run: PretrainRun) -> Hashable:
    _, channels, bands = run.data.features.shape
    return pack_signature(run.experiment, "pretrain", InputShape(channels, bands))


def _halved_to(memory_limit: MemoryLimit, outcome: Outcome) -> Outcome:
    """`outcome`, which says how small its packs became."""
    return replace(outcome, halved_to=memory_limit.replicas) if isinstance(outcome, StageOutput) else outcome


def _prepare(
    requests: Sequence[Request], kind: StageKind, prepare: Callable[[Request], Prepared]
) -> tuple[dict[str, Prepared], dict[str, Outcome]]:
    """Each request made ready, by key, and the failures of those that cannot be."""
    keys = [request.key for request in requests]
    assert len(set(keys)) == len(keys), f"requests must have different keys, got {keys}"
    ready: dict[str, Prepared] = {}
    failures: dict[str, Outcome] = {}
    for request in requests:
        try:
            ready[request.key] = prepare(request)
        except Exception as error:
            failures[request.key] = stage_failure(request.key, kind, error)
    return ready, failures
