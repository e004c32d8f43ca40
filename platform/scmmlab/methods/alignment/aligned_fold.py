"""A fold with its windows aligned, for a method to be fitted to in place of the one that it was granted.

Of the target, only windows that the protocol grants unlabelled are looked at to align it: under `uda_inductive` those
of the fine-tune part, before anything is tested, and under `uda_transductive` the tested windows themselves. `honest`
grants the fine-tune part with its labels, and re-centring uses its windows alone. A test window is then mapped by
itself.

| symbol | meaning |
|---|---|
| N, P | windows, features: channels × bands, or components in their place |
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from scmmlab.errors import TrainingError
from scmmlab.features import Scaler
from scmmlab.methods.alignment.coral import coral
from scmmlab.methods.alignment.maps import Maps, Matrix, mapped
from scmmlab.methods.alignment.recentring import Moments, by_subject, recentred
from scmmlab.methods.alignment.spec import AlignmentSpec
from scmmlab.methods.alignment.subspace import subspace
from scmmlab.methods.alignment.transfer_components import transfer_components
from scmmlab.methods.alignment.transport import transport
from scmmlab.methods.contract import FoldData, FoldRun
from scmmlab.methods.one_shot import scaled
from scmmlab.replica.seeding import derive_seed, finetune_purpose


class _Part(NamedTuple):
    """Windows of a fold, scaled."""

    x_NP: Matrix
    subject_N: NDArray[np.int64]


def aligned(run: FoldRun) -> FoldData:
    """What a fold is fitted to: what it was granted, aligned as its settings say.

    The windows of the result are scaled and need no more of it, float64; it holds those of the fine-tune, validation
    and test parts alone.

    Raises
    ------
    TrainingError
        If they cannot be aligned; it names the fold.
    """
    if run.experiment.alignment.kind == "none":
        return run.data
    try:
        # one thread, so that an alignment has the same bits whatever else a machine does
        with threadpool_limits(limits=1):
            return _aligned(run)
    except TrainingError as error:
        said = f"Alignment of {run.key} failed on '{run.data.fold.name}': {error.message}"
        raise TrainingError(said, hint=error.hint) from error


def _aligned(run: FoldRun) -> FoldData:
    data, alignment = run.data, run.experiment.alignment
    fold = data.fold
    train, validation = (_of_seen(data, rows) for rows in (fold.finetune, fold.validation))
    test, granted = (_of_target(data, rows) for rows in (fold.test, fold.unlabelled))
    if alignment.kind == "recentre":
        moved = _recentred(data, alignment.scale, train, validation, test, granted)
    else:
        _check_granted(len(granted.x_NP) > 0, f"'alignment.kind' {alignment.kind!r}")
        seed = derive_seed(run.seed, f"{finetune_purpose(fold.name)}/alignment")
        maps = _maps(alignment, train.x_NP, data.finetune_label, granted.x_NP, seed)
        moved = (
            mapped(maps.source, train.x_NP),
            mapped(maps.source, validation.x_NP),
            mapped(maps.target, test.x_NP),
        )
    return _as_fold_data(data, *moved)


def _of_seen(data: FoldData, rows: NDArray[np.int64]) -> _Part:
    return _Part(scaled(data.seen_features, rows, data.scaler), data.seen_subject[rows])


def _of_target(data: FoldData, rows: NDArray[np.int64]) -> _Part:
    return _Part(scaled(data.test_features, rows, data.test_scaler), data.test_subject[rows])


def _recentred(
    data: FoldData, scale: bool, train: _Part, validation: _Part, test: _Part, granted: _Part
) -> tuple[Matrix, Matrix, Matrix]:
    """Fine-tune, validation and test part.

    A subject who is trained on is known by the windows of the fine-tune part, one who only validates by its own.
    """
    trained = by_subject(*train)
    # where trials are split, the tested subject is one of those who are trained on
    tested = trained if data.fold.trained_on == "target" else by_subject(*granted)
    unknown = set(test.subject_N.tolist()) - set(tested)
    _check_granted(not unknown, f"Re-centring of subjects {sorted(unknown)}")
    to = Moments.of(train.x_NP)
    return (
        recentred(*train, trained, to, scale),
        recentred(*validation, by_subject(*validation) | trained, to, scale),
        recentred(*test, tested, to, scale),
    )


def _check_granted(granted: bool, what: str) -> None:
    if not granted:
        raise TrainingError(
            f"{what} needs unlabelled windows of the target, but the protocol granted none.",
            hint="use the protocol uda_inductive or uda_transductive.",
        )


def _maps(
    alignment: AlignmentSpec, source_NP: Matrix, label_N: NDArray[np.int64], target_NP: Matrix, seed: int
) -> Maps:
    """The maps of source and target by the settings, from all windows or from some drawn by `seed`."""
    if alignment.kind == "coral":
        return coral(source_NP, target_NP, alignment.rho, alignment.mean == "target")
    if alignment.kind == "subspace":
        return subspace(source_NP, target_NP, alignment.components)
    rng = np.random.default_rng(seed)
    source, target = (_some(rng, len(x_NP), alignment.windows // 2) for x_NP in (source_NP, target_NP))
    if alignment.kind == "tca":
        return transfer_components(source_NP[source], target_NP[target], alignment.components, alignment.mu)
    return transport(source_NP[source], label_N[source], target_NP[target], alignment.epsilon, alignment.class_penalty)


def _some(rng: np.random.Generator, there: int, most: int) -> NDArray[np.int64]:
    """Row numbers, ascending: all of them, or `most` drawn without replacement."""
    if there <= most:
        return np.arange(there)
    return np.sort(rng.choice(there, most, replace=False))


def _as_fold_data(data: FoldData, train_NP: Matrix, validation_NP: Matrix, test_NP: Matrix) -> FoldData:
    """The fold with these windows, [N, P, 1], in place of those that its rows number."""
    fold = data.fold
    seen, own = np.concatenate((fold.finetune, fold.validation)), np.arange(len(fold.finetune) + len(fold.validation))
    nothing = Scaler.fit("none", train_NP[:1, :, None])
    return replace(
        data,
        fold=replace(
            fold,
            finetune=own[: len(fold.finetune)],
            validation=own[len(fold.finetune) :],
            test=np.arange(len(fold.test)),
            unlabelled=np.zeros(0, dtype=np.int64),
        ),
        seen_features=np.concatenate((train_NP, validation_NP))[:, :, None],
        test_features=test_NP[:, :, None],
        scaler=nothing,
        test_scaler=nothing,
        seen_trial=data.seen_trial[seen],
        seen_subject=data.seen_subject[seen],
        test_trial=data.test_trial[fold.test],
        test_subject=data.test_subject[fold.test],
    )
