"""The pre-train stage: packs of encoders trained to their end, with reports, checkpoints, and failures kept apart."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from scmmlab.model import SINGLE_PROCESS, Collectives
from scmmlab.model.version import NUMERICS_VERSION
from scmmlab.training.checkpoint import from_bytes, to_bytes
from scmmlab.training.pretrain import LOSSES, Encoder, PretrainPack
from scmmlab.training.reporter import Reporter
from scmmlab.training.requests import PretrainRequest, StageFailure, StageKind, StageOutput
from scmmlab.training.windows import Windows

RECORD_FORMAT = 1

PRETRAIN_PARTS = (
    "network",
    "masking",
    "contrast",
    "aggregator",
    "reconstruction",
    "loss",
    "pretrain",
    "scaling",
)
"""Parts of an experiment that decide an encoder (with two quirks of the `released` protocol)."""

_KINDS: dict[str, StageKind] = {"pretrain": "pretrain", "probe": "sweep"}

Figures = Callable[[Encoder, Callable[[], dict[str, Tensor]]], dict[str, float] | None]
"""An encoder at the end of an epoch, and how to get its tensors → what to report, or None for nothing."""


@dataclass(frozen=True)
class TrainedEncoder:
    """An encoder whose pre-training has ended."""

    encoder: Encoder
    """With its curves."""
    state: Literal["finished", "stopped"]
    """`stopped` where the reporter ended it early."""
    tensors: dict[str, Tensor]
    """Its parameters and batch-norm buffers."""


def epoch_losses(encoder: Encoder, _: Callable[[], dict[str, Tensor]]) -> dict[str, float]:
    """The losses of the last epoch."""
    return {name: encoder.curve[-1][name] for name in LOSSES}


def train_encoders(
    encoders: Sequence[Encoder],
    pool: Windows,
    reporter: Reporter,
    checkpoint_every: int,
    stage: Literal["pretrain", "probe"] = "pretrain",
    figures: Figures = epoch_losses,
    group: Collectives = SINGLE_PROCESS,
) -> Iterator[TrainedEncoder | StageFailure]:
    """Train a pack to the end; each encoder is handed out as it ends, and its work is spared from then on.

    Parameters
    ----------
    encoders : sequence of Encoder
        The replicas, none of them begun; where there is a checkpoint, they go on from it.
    pool : Windows
        Holds their data.
    reporter : Reporter
        Is told of the epochs, may stop a replica, and keeps the checkpoints. What it raises is raised here.
    checkpoint_every : int
        Epochs between checkpoints.
    stage : {"pretrain", "probe"}
        What the reporter hears.
    figures : callable
        What is reported of an epoch.
    group : Collectives
        The workers that share each batch, all of which make this same call.
    """
    saved = [reporter.load_checkpoint(encoder.key, stage) for encoder in encoders]
    try:
        pack = PretrainPack(encoders, pool, group)
        for replica, data in enumerate(saved):
            expected = pack.checkpoint(replica).tensors
            if (checkpoint := from_bytes(data, encoders[replica].key, stage, expected)) is not None:
                pack.restore(replica, checkpoint)
    except Exception as error:
        yield from _one_by_one(error, encoders, pool, reporter, checkpoint_every, stage, figures, group)
        return

    leaving: list[int] = []
    for replica, encoder in enumerate(pack.encoders):
        if encoder.epoch >= encoder.epochs:
            yield TrainedEncoder(encoder, "finished", pack.parameters.replica_state(replica))
            leaving.append(replica)
    while len(leaving) < len(pack.encoders):
        if leaving:
            pack = pack.only([r for r in range(len(pack.encoders)) if r not in leaving])
            leaving = []
        try:
            errors: list[Exception | None] = list(pack.train_epoch())
        except Exception as error:
            yield from _one_by_one(error, pack.encoders, pool, reporter, checkpoint_every, stage, figures, group)
            return
        for replica, (encoder, failure) in enumerate(zip(pack.encoders, errors, strict=True)):
            tensors = partial(pack.parameters.replica_state, replica)
            news: dict[str, float] | None = None
            if failure is None:
                try:
                    news = figures(encoder, tensors)
                except Exception as error:
                    failure = error
            if failure is not None:
                yield stage_failure(encoder.key, _KINDS[stage], failure)
                leaving.append(replica)
                continue
            go_on = news is None or reporter.epoch(encoder.key, stage, encoder.epoch, encoder.epochs, news)
            if encoder.epoch == encoder.epochs or not go_on:
                state: Literal["finished", "stopped"] = "finished" if encoder.epoch == encoder.epochs else "stopped"
                yield TrainedEncoder(encoder, state, tensors())
                leaving.append(replica)
            if go_on and encoder.epoch % checkpoint_every == 0:
                reporter.save_checkpoint(encoder.key, stage, to_bytes(pack.checkpoint(replica), encoder.key, stage))


def _one_by_one(
    error: Exception,
    encoders: Sequence[Encoder],
    pool: Windows,
    reporter: Reporter,
    checkpoint_every: int,
    stage: Literal["pretrain", "probe"],
    figures: Figures,
    group: Collectives,
) -> Iterator[TrainedEncoder | StageFailure]:
    """What becomes of a pack that raised: halves go on from their checkpoints, until the one that is at fault is alone.

    Halving also finds the size that fits where memory ran out.
    """
    if len(encoders) == 1:
        yield stage_failure(encoders[0].key, _KINDS[stage], error)
        return
    middle = len(encoders) // 2
    for half in (encoders[:middle], encoders[middle:]):
        yield from train_encoders(half, pool, reporter, checkpoint_every, stage, figures, group)


def stage_failure(key: str, kind: StageKind, error: Exception) -> StageFailure:
    """`error` as the outcome of one request."""
    return StageFailure(
        key=key,
        kind=kind,
        error=" ".join(str(error).split()) or type(error).__name__,
        traceback="".join(traceback.format_exception(error)),
    )


def pretrain_output(request: PretrainRequest, trained: TrainedEncoder) -> StageOutput:
    """What the pre-train stage hands on of an encoder.

    The curves travel with the tensors too (``curve.loss`` and so on), so that the cells that use the encoder can show
    them.
    """
    encoder = trained.encoder
    return StageOutput(
        key=request.key,
        kind="pretrain",
        record={
            "format": RECORD_FORMAT,
            "key": request.key,
            # what pre-training sees of the experiment; cells that differ in the rest share this record
            "experiment": request.experiment.model_dump(mode="json", include=set(PRETRAIN_PARTS)),
            "source": request.source.model_dump(mode="json"),
            "seed": request.seed,
            "channels": list(request.channels),
            "windows": encoder.data.windows,
            "state": trained.state,
            "curve": encoder.curve,
            "source_fingerprint": encoder.data.fingerprint,
            "numerics": NUMERICS_VERSION,
        },
        tensors={name: tensor.cpu().numpy() for name, tensor in trained.tensors.items()} | curve_arrays(encoder.curve),
    )


def curve_arrays(curve: Sequence[dict[str, float]]) -> dict[str, NDArray[np.float64]]:
    """A pre-training curve as arrays, one a figure."""
    return {f"curve.{name}": np.array([row[name] for row in curve]) for name in LOSSES}


def curve_from_arrays(tensors: dict[str, NDArray[np.generic]] | None) -> list[dict[str, float]]:
    """The curve that `curve_arrays` put among the tensors; empty where there is none."""
    if tensors is None or any(f"curve.{name}" not in tensors for name in LOSSES):
        return []
    columns = [tensors[f"curve.{name}"].tolist() for name in LOSSES]
    return [
        {"epoch": epoch, **dict(zip(LOSSES, row, strict=True))}
        for epoch, row in enumerate(zip(*columns, strict=True), start=1)
    ]
