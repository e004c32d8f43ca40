"""The data of a request: which windows train, which validate, and which are tested.

Test labels are read by `sealed_parts` alone, which the evaluate stage alone calls: nothing that is handed to a trainer
holds them, or leads to them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from scmmlab.config import CorpusSelection, ExperimentSpec
from scmmlab.config.base import canonical_json
from scmmlab.evaluation import Fold, make_folds, trial_numbers
from scmmlab.features import Scaler
from scmmlab.methods.contract import FoldData, PretrainData
from scmmlab.methods.pretraining_view import pretraining_view
from scmmlab.methods.registry import method_of
from scmmlab.tables import FeatureTable, check_mixable
from scmmlab.training.requests import CellRequest, PretrainRequest, SweepRequest

Tables = Callable[[str], FeatureTable]
"""Location of a feature table → the table."""


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


def pretrain_data(request: PretrainRequest | SweepRequest, selections: Selections) -> PretrainData:
    """The source windows of `request`; no label is read."""
    source = request.source if isinstance(request, PretrainRequest) else request.transfer.source
    table = selections.get(source, request.channels)
    experiment = pretraining_view(request.experiment)
    windows = experiment.pretrain_windows(len(table))
    return PretrainData(
        features=table.features,
        windows=windows,
        scaler=Scaler.fit(experiment.scaling, table.features[:windows]),
        fingerprint=table.manifest.fingerprint,
        trial=trial_numbers(table),
        time_s=table.window.astype(np.float64) * table.manifest.window_s,
    )


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
    """The folds of `request` by its protocol; no label of a test part is read.

    Raises
    ------
    SplitError, CorpusError, SpecError
        If source and target do not go together, or a fold would leak or lacks a class.
    """
    source = selections.get(request.transfer.source, request.channels)
    target = selections.get(request.transfer.target, request.channels)
    check_mixable(source.manifest, target.manifest, request.transfer.mixed_features)
    folds = make_folds(request.experiment.protocol, source, target)
    tables = {"source": source, "target": target}
    units = {side: (trial_numbers(table), table.subject.astype(np.int64)) for side, table in tables.items()}
    return CellData(
        classes=tuple(target.manifest.classes),
        bands=target.features.shape[2],
        folds=tuple(_fold_data(request.experiment, fold, source, target, units) for fold in folds),
        source_fingerprint=source.manifest.fingerprint,
        target_fingerprint=target.manifest.fingerprint,
    )


def _fold_data(
    experiment: ExperimentSpec,
    fold: Fold,
    source: FeatureTable,
    target: FeatureTable,
    units: Mapping[str, tuple[NDArray[np.int64], NDArray[np.int64]]],
) -> FoldData:
    seen = source if fold.trained_on == "source" else target
    scaler = Scaler.fit(experiment.scaling, seen.features[fold.finetune])
    by_itself = getattr(experiment.protocol, "scale_each_part", False)
    if "unlabelled_target" not in method_of(experiment).sees or not experiment.uses_unlabelled:
        fold = replace(fold, unlabelled=np.zeros(0, dtype=np.int64))
    (seen_trial, seen_subject), (test_trial, test_subject) = units[fold.trained_on], units["target"]
    return FoldData(
        fold=fold,
        seen_features=seen.features,
        finetune_label=seen.label[fold.finetune],
        validation_label=seen.label[fold.validation],
        test_features=target.features,
        scaler=scaler,
        test_scaler=Scaler.fit(experiment.scaling, target.features[fold.test]) if by_itself else scaler,
        seen_trial=seen_trial,
        test_trial=test_trial,
        seen_subject=seen_subject,
        test_subject=test_subject,
    )


@dataclass(frozen=True)
class SealedPart:
    """The test part of a fold, opened."""

    label: NDArray[np.int64]
    """Labels of its windows."""
    subject: NDArray[np.int32]
    """Whose window each is."""


def sealed_parts(request: CellRequest, data: CellData, selections: Selections) -> tuple[SealedPart, ...]:
    """The labels of the test parts of all folds. To be called by the evaluate stage alone."""
    target = selections.get(request.transfer.target, request.channels)
    return tuple(SealedPart(target.label[own.fold.test], target.subject[own.fold.test]) for own in data.folds)
