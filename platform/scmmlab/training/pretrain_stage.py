"""The pre-train stage: what it hands on of an encoder."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from scmmlab.config.code_digest import NUMERICS_VERSION
from scmmlab.methods.scmm.pretrain_pack import LOSSES
from scmmlab.training.encoder_slots import TrainedEncoder
from scmmlab.training.requests import PretrainRequest, StageOutput

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
