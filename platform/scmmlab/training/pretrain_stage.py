"""The pre-train stage: what it hands on of an encoder."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from scmmlab.config.code_digest import NUMERICS_VERSION
from scmmlab.methods.pretraining_view import seen_by_pretraining
from scmmlab.methods.registry import method_of
from scmmlab.training.encoder_slots import TrainedEncoder
from scmmlab.training.requests import PretrainRequest, StageOutput

RECORD_FORMAT = 1
CURVE = "curve."
"""What the names of a curve's arrays begin with, among the tensors of a pre-training."""


def pretrain_output(request: PretrainRequest, trained: TrainedEncoder) -> StageOutput:
    """What the pre-train stage hands on of an encoder.

    The curves travel with the tensors too (``curve.loss`` and so on), so that the cells that use the encoder can show
    them.
    """
    method, encoder = method_of(request.experiment), trained.run
    return StageOutput(
        key=request.key,
        kind="pretrain",
        record={
            "format": RECORD_FORMAT,
            "key": request.key,
            # cells that differ in the rest share this record
            "experiment": {name: part for name, part in seen_by_pretraining(request.experiment).items() if part != {}},
            "source": request.source.model_dump(mode="json"),
            "seed": request.seed,
            "channels": list(request.channels),
            "windows": encoder.data.windows,
            "state": trained.state,
            "curve": encoder.curve,
            "source_fingerprint": encoder.data.fingerprint,
            "numerics": NUMERICS_VERSION,
        },
        tensors={name: tensor.cpu().numpy() for name, tensor in trained.tensors.items()}
        | curve_arrays(encoder.curve, method.names("pretrain")),
    )


def curve_arrays(curve: Sequence[dict[str, float]], names: Sequence[str]) -> dict[str, NDArray[np.float64]]:
    """A pre-training curve as arrays, one a figure."""
    return {f"{CURVE}{name}": np.array([row[name] for row in curve]) for name in names}


def curve_from_arrays(tensors: dict[str, NDArray[np.generic]] | None, names: Sequence[str]) -> list[dict[str, float]]:
    """The curve that `curve_arrays` put among the tensors; empty where there is none."""
    if tensors is None or not names or any(f"{CURVE}{name}" not in tensors for name in names):
        return []
    columns = [tensors[f"{CURVE}{name}"].tolist() for name in names]
    return [
        {"epoch": epoch, **dict(zip(names, row, strict=True))}
        for epoch, row in enumerate(zip(*columns, strict=True), start=1)
    ]
