"""The evaluate stage: the one place where sealed test labels are opened, once for each finished cell."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from scmmlab.config import ExperimentSpec, ReleasedProtocol
from scmmlab.errors import TrainingError
from scmmlab.evaluation import Fold, confusion, json_scores, scores
from scmmlab.training.data import CellData, SealedPart, Selections, Tables, cell_data, sealed_parts
from scmmlab.training.predictions import mean_of_batches, probabilities, share_right
from scmmlab.training.requests import CellRequest, StageOutput

# of the fine-tune record, what belongs into the evaluate record as it stands
_CARRIED = (
    "format",
    "key",
    "experiment",
    "transfer",
    "seed",
    "channels",
    "classes",
    "curves",
    "source_fingerprint",
    "target_fingerprint",
    "numerics",
)


def evaluate_cell(request: CellRequest, finetuned: StageOutput, tables: Tables) -> StageOutput:
    """The test figures of a cell whose folds are all fine-tuned.

    Parameters
    ----------
    request : CellRequest
        The cell; its encoder is not used and may be None.
    finetuned : StageOutput
        Of the fine-tune stage: predictions of test windows, made without their labels.
    tables : callable
        Location → feature table.

    Returns
    -------
    StageOutput
        Of kind `evaluate`; docs/training.md describes its record.

    Raises
    ------
    TrainingError
        If `finetuned` is not of this cell, or its predictions are not those of the cell's folds.
    """
    selections = Selections(tables)
    data = cell_data(request, selections)
    _check(request, finetuned, data)
    experiment = request.experiment
    folds = [
        _fold_record(experiment, fold.fold, sealed, made, finetuned.tensors[f"test_logits.{number}"])
        for number, (fold, sealed, made) in enumerate(
            zip(data.folds, sealed_parts(request, data, selections), finetuned.record["folds"], strict=True)
        )
    ]
    record = {name: finetuned.record[name] for name in _CARRIED}
    record |= {"protocol": experiment.protocol.kind, "leaks": leaks(experiment), "folds": folds}
    return StageOutput(key=request.key, kind="evaluate", record=record, tensors={})


def leaks(experiment: ExperimentSpec) -> list[str]:
    """What the protocol lets the test part decide, in words for tables; empty for the protocols that leak nothing."""
    protocol = experiment.protocol
    if not isinstance(protocol, ReleasedProtocol):
        return []
    found = []
    if protocol.epoch_selection == "best_test":
        found.append("epoch chosen on test labels")
    if protocol.scale_each_part and experiment.scaling != "none":
        found.append("test part scaled by its own numbers")
    return found


def _check(request: CellRequest, finetuned: StageOutput, data: CellData) -> None:
    made = [(tuple(f["subjects"]), f["windows"]["test"]) for f in finetuned.record["folds"]]
    expected = [(fold.fold.subjects, len(fold.fold.test)) for fold in data.folds]
    if finetuned.key != request.key or finetuned.kind != "finetune" or made != expected:
        raise TrainingError(
            f"The predictions to be judged must be those of cell {request.key} with test windows {expected}, found "
            f"'{finetuned.kind}' of {finetuned.key} with {made}.",
            hint="the feature table changed since; run the study again.",
        )


def _fold_record(
    experiment: ExperimentSpec, fold: Fold, sealed: SealedPart, made: dict[str, Any], logits: NDArray[np.float32]
) -> dict[str, Any]:
    label, subject = sealed.label, sealed.subject
    record = {name: made[name] for name in ("name", "subjects", "windows", "epoch", "validation")}
    if made["epoch"] is None:
        # [epochs, windows, classes]: the released protocol looks at the test accuracy of every epoch ...
        by_epoch = [_accuracy(experiment, label, epoch) for epoch in logits]
        # ... and reports the first of the best
        chosen = int(np.argmax(by_epoch))
        record |= {"epoch": chosen + 1, "test_by_epoch": by_epoch}
        logits = logits[chosen]
    record["test"] = _figures(experiment, label, logits)
    record["confusion"] = confusion(label, logits.argmax(axis=-1), logits.shape[-1]).tolist()
    record["by_subject"] = {
        str(one): _figures(experiment, label[subject == one], logits[subject == one]) for one in fold.subjects
    }
    return record


def _figures(
    experiment: ExperimentSpec, label: NDArray[np.int64], logits: NDArray[np.float32]
) -> dict[str, float | None]:
    figures = scores(label, probabilities(logits))
    return json_scores({**figures, "accuracy": _accuracy(experiment, label, logits)})


def _accuracy(experiment: ExperimentSpec, label: NDArray[np.int64], logits: NDArray[np.float32]) -> float:
    protocol = experiment.protocol
    if isinstance(protocol, ReleasedProtocol) and protocol.accuracy == "mean_of_batches":
        return mean_of_batches(label, logits, experiment.test_batch_size or len(label))
    return share_right(label, logits)
