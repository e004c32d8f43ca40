"""The fine-tune stage: the folds of cells trained in packs, and put together again as one output a cell."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from scmmlab.config.code_digest import NUMERICS_VERSION
from scmmlab.errors import TrainingError
from scmmlab.evaluation import json_scores, scores
from scmmlab.methods.contract import FoldPack, FoldResult, FoldRun, InputShape
from scmmlab.methods.registry import method_of, trainer_of
from scmmlab.replica.shortage import drop_frames, out_of_memory
from scmmlab.replica.windows import WindowPool
from scmmlab.training.checkpoint import from_bytes, save_if_memory_allows
from scmmlab.training.data import CellData
from scmmlab.training.encoder_slots import stage_failure
from scmmlab.training.memory import MemoryLimit, too_large_alone
from scmmlab.training.packs import evenly, pack_signature
from scmmlab.training.predictions import probabilities
from scmmlab.training.pretrain_stage import CURVE, RECORD_FORMAT, curve_from_arrays
from scmmlab.training.reporter import Reporter
from scmmlab.training.requests import CellRequest, StageFailure, StageOutput, data_of


@dataclass(frozen=True)
class CellRun:
    """A cell that is ready to be fine-tuned."""

    request: CellRequest
    """What was asked for."""
    data: CellData
    """Its folds."""
    runs: tuple[FoldRun, ...]
    """The trainings of its folds, none of them begun."""


def cell_run(request: CellRequest, data: CellData) -> CellRun:
    """The cell of `request` with its folds, from `data.cell_data`.

    Raises
    ------
    TrainingError
        If it comes without the encoder that it needs, or with one that it does not.
    """
    start = starting_state(request, data.bands)
    runs = (
        FoldRun(
            key=request.key,
            number=number,
            experiment=request.experiment,
            seed=request.seed,
            data=fold,
            classes=len(data.classes),
            start=start,
            channels=request.channels,
        )
        for number, fold in enumerate(data.folds)
    )
    return CellRun(request, data, tuple(runs))


def starting_state(request: CellRequest, bands: int) -> Mapping[str, Tensor]:
    """What fine-tuning starts from: what pre-training left, or what pre-training would start from.

    Raises
    ------
    TrainingError
        If the request has something pre-trained and its experiment no pre-training, or the other way round.
    """
    experiment = request.experiment
    if (request.encoder is not None) != experiment.pretrains:
        raise TrainingError(
            f"A cell must come with a pre-trained encoder exactly where 'pretrain.enabled' is true, but {request.key} "
            f"has pretrain.enabled {experiment.pretrains} and {'an' if request.encoder else 'no'} encoder."
        )
    if request.encoder is not None:
        return {
            name: torch.from_numpy(np.array(array))
            for name, array in request.encoder.items()
            if not name.startswith(CURVE)
        }
    shape = InputShape(len(request.channels), bands)
    return trainer_of(experiment).initial_state(experiment, shape, request.seed)


def _pack_signature(cell: CellRun) -> Hashable:
    request = cell.request
    shape = InputShape(len(request.channels), cell.data.bands, len(cell.data.classes), request.channels)
    return pack_signature(request.experiment, "finetune", shape)


def pack_folds(cells: Sequence[CellRun], size: int) -> list[list[FoldRun]]:
    """The folds of `cells` in packs of at most `size`.

    The folds of a cell stay together, with those of other cells where they fit; a cell of more than `size` folds is cut
    into the fewest packs that hold it.
    """
    groups: dict[Hashable, list[tuple[FoldRun, ...]]] = defaultdict(list)
    for cell in cells:
        groups[_pack_signature(cell)].append(cell.runs)
    packs: list[list[FoldRun]] = []
    for members in groups.values():
        pack: list[FoldRun] = []
        for runs in members:
            if pack and len(pack) + len(runs) > size:
                packs.append(pack)
                pack = []
            if len(runs) > size:
                packs += evenly(runs, size)
            else:
                pack += runs
        if pack:
            packs.append(pack)
    return packs


@dataclass(frozen=True)
class FoldFailure:
    """A fold that came to nothing, and its cell with it."""

    run: FoldRun
    """The fold."""
    error: Exception
    """Why."""


class _PackBroke(Exception):
    """Training a pack raised something that is not a reporter's."""

    def __init__(self, runs: Sequence[FoldRun], error: Exception):
        super().__init__(str(error))
        self.runs, self.error = runs, error


def train_folds(
    runs: Sequence[FoldRun], pool: WindowPool, reporter: Reporter, checkpoint_every: int, memory_limit: MemoryLimit
) -> Iterator[FoldResult | FoldFailure]:
    """Train folds to the end; they are handed out as they end.

    They train as one pack. Where training raises, halves go on from their checkpoints one after the other, until the
    fold that is at fault is alone, or until there is memory for the pack. A cell of which one fold fails, or that the
    reporter stops, leaves with its other folds.

    Parameters
    ----------
    runs : sequence of FoldRun
        The replicas, none of them begun; where there is a checkpoint, they go on from it.
    pool : WindowPool
        Holds their data.
    reporter : Reporter
        Is told of the epochs and keeps the checkpoints. What it raises is raised here.
    checkpoint_every : int
        Epochs between checkpoints.
    memory_limit : MemoryLimit
        How many there is memory for, as far as it is known; what is learned is put there.
    """
    waiting = deque([list(runs)])
    failed: set[str] = set()
    while waiting:
        pack = [run for run in waiting.popleft() if run.key not in failed]
        if memory_limit.replicas is not None and len(pack) > memory_limit.replicas:
            waiting.extendleft(reversed(evenly(pack, memory_limit.replicas)))
            continue
        try:
            for outcome in _train_pack(pack, pool, reporter, checkpoint_every):
                if isinstance(outcome, FoldFailure):
                    failed.add(outcome.run.key)
                yield outcome
            continue
        except _PackBroke as broke:
            left, error = broke.runs, broke.error
            drop_frames(broke)
        if out_of_memory(error):
            memory_limit.ran_out(len(left))
        if len(left) == 1:
            failed.add(left[0].key)
            yield FoldFailure(left[0], too_large_alone(left[0].key, error) if out_of_memory(error) else error)
        else:
            waiting.extendleft(reversed(evenly(left, -(-len(left) // 2))))


def _train_pack(
    runs: Sequence[FoldRun], pool: WindowPool, reporter: Reporter, checkpoint_every: int
) -> Iterator[FoldResult | FoldFailure]:
    """Train a pack to the end.

    Raises
    ------
    _PackBroke
        With the folds that have not ended.
    """
    if not runs:
        return
    saved = [reporter.load_checkpoint(run.key, run.stage) for run in runs]
    try:
        pack = trainer_of(runs[0].experiment).finetune_pack(runs, pool)
        for replica, (run, data) in enumerate(zip(runs, saved, strict=True)):
            expected = pack.checkpoint(replica).tensors
            if (checkpoint := from_bytes(data, run.key, run.stage, expected)) is not None:
                pack.restore(replica, checkpoint)
    except Exception as error:
        raise _PackBroke(runs, error) from error

    while pack.runs:
        if reporter.preempted:
            for replica, run in enumerate(pack.runs):
                save_if_memory_allows(partial(pack.checkpoint, replica), run.key, run.stage, reporter)
            reporter.end_preempted()
        ended = [r for r, run in enumerate(pack.runs) if run.epoch >= run.epochs]
        try:
            if ended:
                results = pack.only(ended).results()
            else:
                errors = pack.train_epoch()
        except Exception as error:
            raise _PackBroke(pack.runs, error) from error
        if ended:
            yield from results
            pack = _without(pack, ended)
            continue

        failed = {run.key for run, error in zip(pack.runs, errors, strict=True) if error is not None}
        yield from (FoldFailure(run, error) for run, error in zip(pack.runs, errors, strict=True) if error is not None)
        for key, members in _by_cell(pack.runs).items():
            if key in failed:
                continue
            # folds of a cell that were resumed at different epochs are reported apart
            for epoch in sorted({run.epoch for run in members}):
                same = [run for run in members if run.epoch == epoch]
                if not reporter.epoch(
                    key, "finetune", epoch, same[0].epochs, _means(same[0], [run.curve[-1] for run in same])
                ):
                    failed.add(key)
                    stopped = TrainingError(
                        f"Fine-tuning of {key} was stopped after epoch {epoch} of {same[0].epochs}."
                    )
                    yield FoldFailure(same[0], stopped)
                    break
        if failed:
            pack = _without(pack, [r for r, run in enumerate(pack.runs) if run.key in failed])
        for replica, run in enumerate(pack.runs):
            if run.epoch % checkpoint_every == 0:
                save_if_memory_allows(partial(pack.checkpoint, replica), run.key, run.stage, reporter)


def _without(pack: FoldPack, leaving: Sequence[int]) -> FoldPack:
    staying = [r for r in range(len(pack.runs)) if r not in leaving]
    if staying:
        return pack.only(staying)
    pack.runs = []
    return pack


def _by_cell(runs: Iterable[FoldRun]) -> dict[str, list[FoldRun]]:
    cells: dict[str, list[FoldRun]] = defaultdict(list)
    for run in runs:
        cells[run.key].append(run)
    return cells


def _means(run: FoldRun, rows: Sequence[Mapping[str, float | None]]) -> dict[str, float]:
    """Means over folds, of which `run` is one, of the figures that all of them have."""
    means = {}
    for name in method_of(run.experiment).names("finetune"):
        values = [value for row in rows if (value := row.get(name)) is not None]
        if len(values) == len(rows):
            means[name] = sum(values) / len(values)
    return means


def finetune_cells(
    cells: Sequence[CellRun],
    reporter: Reporter,
    device: torch.device | str,
    checkpoint_every: int,
    pack_size: int,
    memory_limit: MemoryLimit,
) -> Iterator[StageOutput | StageFailure]:
    """Fine-tune `cells`; each is handed out when its last fold has ended, in whatever order that is.

    Parameters
    ----------
    cells : sequence of CellRun
        What is to be trained.
    reporter, device, checkpoint_every
        As in `stages.run_cell_stage`.
    pack_size : int
        Folds that train together, at most.
    memory_limit : MemoryLimit
        How many of them there is memory for, as far as it is known.
    """
    by_key = {cell.request.key: cell for cell in cells}
    folds = [fold for cell in cells for fold in cell.data.folds]
    pool = WindowPool([a for fold in folds for a in (fold.seen_features, fold.test_features)], device, torch.float32)
    done: dict[str, dict[int, FoldResult]] = defaultdict(dict)
    failed: set[str] = set()
    for pack in pack_folds(cells, pack_size):
        wanted = [run for run in pack if run.key not in failed]
        if not wanted:
            continue
        for outcome in train_folds(wanted, pool, reporter, checkpoint_every, memory_limit):
            key = outcome.run.key
            if key in failed:
                continue
            if isinstance(outcome, FoldFailure):
                failed.add(key)
                yield stage_failure(key, "finetune", outcome.error)
                continue
            done[key][outcome.run.number] = outcome
            if len(done[key]) == len(by_key[key].data.folds):
                yield finetune_output(by_key[key], [result for _, result in sorted(done.pop(key).items())])


def finetune_output(cell: CellRun, results: Sequence[FoldResult]) -> StageOutput:
    """What the fine-tune stage hands on of a cell: curves, choices, validation figures, logits of sealed windows."""
    request = cell.request
    tensors: dict[str, np.ndarray] = {f"test_logits.{r.run.number}": r.test_logits for r in results}
    for result in results:
        if result.validation_logits is not None:
            tensors[f"validation_logits.{result.run.number}"] = result.validation_logits
    curves = zip(*(result.run.curve for result in results), strict=True)
    return StageOutput(
        key=request.key,
        kind="finetune",
        record={
            "format": RECORD_FORMAT,
            "key": request.key,
            "experiment": request.experiment.model_dump(mode="json"),
            "transfer": data_of(request.transfer),
            "seed": request.seed,
            "channels": list(request.channels),
            "classes": list(cell.data.classes),
            "folds": [_fold_record(result) for result in results],
            "curves": {
                "pretrain": curve_from_arrays(request.encoder, method_of(request.experiment).names("pretrain")),
                "finetune": [
                    {"epoch": epoch, **_means(results[0].run, rows)} for epoch, rows in enumerate(curves, start=1)
                ],
            },
            "source_fingerprint": cell.data.source_fingerprint,
            "target_fingerprint": cell.data.target_fingerprint,
            "numerics": NUMERICS_VERSION,
        },
        tensors=tensors,
    )


def _fold_record(result: FoldResult) -> dict[str, Any]:
    data = result.run.data
    validation = None
    if result.validation_logits is not None and len(data.validation_label):
        validation = json_scores(scores(data.validation_label, probabilities(result.validation_logits)))
    return {
        "name": data.fold.name,
        "subjects": list(data.fold.subjects),
        "windows": {
            "finetune": len(data.fold.finetune),
            "validation": len(data.fold.validation),
            "test": len(data.fold.test),
        },
        "epoch": result.epoch,
        "validation": validation,
        "curve": result.run.curve,
        "model": result.model_digest,
    }
