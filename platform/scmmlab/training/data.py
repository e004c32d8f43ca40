"""The data of a request: which windows train, which validate, and which wait with sealed labels to be tested."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scmmlab.config import CorpusSelection, ExperimentSpec, ReleasedProtocol
from scmmlab.config.base import canonical_json
from scmmlab.evaluation import Fold, make_folds
from scmmlab.features import Scaler
from scmmlab.tables import FeatureTable, check_mixable
from scmmlab.training.requests import CellRequest, PretrainRequest, SweepRequest
from scmmlab.training.sealed import SealedLabels

Tables = Callable[[str], FeatureTable]
"""Location of a feature table → the table."""

Features = NDArray[np.float32]


class Selections:
    """Parts of tables, each cut out once, so that requests with the same data share one array.

    Parameters
    ----------
    tables : callable
        Location → table.
    """

    def __init__(self, tables: Tables):
        self._tables = tables
        self._parts: dict[tuple[str, tuple[str, ...]], FeatureTable] = {}

    def get(self, selection: CorpusSelection, channels: tuple[str, ...]) -> FeatureTable:
        """The selected windows, with these channels in this order."""
        name = canonical_json(selection), channels
        if name not in self._parts:
            self._parts[name] = self._tables(selection.table).select(selection).with_channels(channels)
        return self._parts[name]


@dataclass(frozen=True)
class PretrainData:
    """What one encoder is pre-trained on."""

    features: Features
    """Windows [n, C, F], not scaled."""
    windows: int
    """How many of them, from the first, are trained on."""
    scaler: Scaler
    """Fitted on those."""
    fingerprint: str
    """Of the source's table."""


def pretrain_data(request: PretrainRequest | SweepRequest, selections: Selections) -> PretrainData:
    """The source windows of `request`; no label is read.

    Under `released` with `pretrain_batches`, only the first so many batches of windows take part.
    """
    source = request.source if isinstance(request, PretrainRequest) else request.transfer.source
    table = selections.get(source, request.channels)
    protocol, windows = request.experiment.protocol, len(table)
    if isinstance(protocol, ReleasedProtocol) and protocol.pretrain_batches is not None:
        windows = min(windows, protocol.pretrain_batches * request.experiment.pretrain.batch_size)
    return PretrainData(
        features=table.features,
        windows=windows,
        scaler=Scaler.fit(request.experiment.scaling, table.features[:windows]),
        fingerprint=table.manifest.fingerprint,
    )


@dataclass(frozen=True)
class FoldData:
    """One fold: windows and labels to train and validate on, and windows to test whose labels are sealed."""

    fold: Fold
    """Which rows are which."""
    seen_features: Features
    """Windows [n, C, F] of the table that is trained on, not scaled; the fold's rows index it."""
    finetune_label: NDArray[np.int64]
    """Labels of the fine-tune part."""
    validation_label: NDArray[np.int64]
    """Labels of the validation part; empty under `released`."""
    test_features: Features
    """Windows of the target, not scaled; the fold's test rows index it."""
    test_subject: NDArray[np.int32]
    """Whose window each test window is."""
    sealed: SealedLabels
    """Labels of the test part. Only the evaluate stage opens them."""
    scaler: Scaler
    """For the fine-tune and the validation part: fitted on the fine-tune part."""
    test_scaler: Scaler
    """For the test part: the same, but under `released` with `scale_each_part` fitted on the test part itself."""


@dataclass(frozen=True)
class CellData:
    """The folds of one cell."""

    classes: tuple[str, ...]
    """Names of the target's classes, in the order of the labels."""
    bands: int
    """F."""
    folds: tuple[FoldData, ...]
    """In the order of their subjects."""
    source_fingerprint: str
    """Of the source's table."""
    target_fingerprint: str
    """Of the target's table."""


def cell_data(request: CellRequest | SweepRequest, selections: Selections) -> CellData:
    """The folds of `request` by its protocol.

    Raises
    ------
    SplitError, CorpusError, SpecError
        If source and target do not go together, or a fold would leak or lacks a class.
    """
    source = selections.get(request.transfer.source, request.channels)
    target = selections.get(request.transfer.target, request.channels)
    check_mixable(source.manifest, target.manifest, request.transfer.mixed_features)
    folds = make_folds(request.experiment.protocol, source, target)
    return CellData(
        classes=tuple(target.manifest.classes),
        bands=target.features.shape[2],
        folds=tuple(_fold_data(request.experiment, fold, source, target) for fold in folds),
        source_fingerprint=source.manifest.fingerprint,
        target_fingerprint=target.manifest.fingerprint,
    )


def _fold_data(experiment: ExperimentSpec, fold: Fold, source: FeatureTable, target: FeatureTable) -> FoldData:
    seen = source if fold.trained_on == "source" else target
    scaler = Scaler.fit(experiment.scaling, seen.features[fold.finetune])
    protocol = experiment.protocol
    by_itself = isinstance(protocol, ReleasedProtocol) and protocol.scale_each_part
    return FoldData(
        fold=fold,
        seen_features=seen.features,
        finetune_label=seen.label[fold.finetune],
        validation_label=seen.label[fold.validation],
        test_features=target.features,
        test_subject=target.subject[fold.test],
        sealed=SealedLabels(target.label[fold.test]),
        scaler=scaler,
        test_scaler=Scaler.fit(experiment.scaling, target.features[fold.test]) if by_itself else scaler,
    )
