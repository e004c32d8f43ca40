"""Classical methods against scores that scikit-learn gave on the shipped feature table (tests/golden/README.md)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from scmmlab.config import ExperimentSpec
from scmmlab.errors import CorpusError
from scmmlab.evaluation.metrics import balanced_accuracy, confusion
from scmmlab.features import Scaler
from scmmlab.methods.classical.closed_form import ClosedForm, solve_together
from scmmlab.methods.classical.svm import RbfSvm
from scmmlab.methods.golden import HINT, GoldenCheck, GoldenFile, relative_error
from scmmlab.methods.one_shot import Matrix, scaled
from scmmlab.methods.registry import trainer_of
from scmmlab.tables import FeatureTable, read_table

TABLE = "shipped:eegmat"
"""The table that `row` numbers the rows of."""
SCALERS: dict[str, Literal["min_max", "standard"]] = {"min-max to [0, 1]": "min_max", "z": "standard"}
METHODS = ("logistic", "lda", "ridge", "rbf_svm")
CLOSED_FORM, LIBSVM = 1e-8, 1e-5
"""Tolerances; libsvm keeps its kernel in float32."""


class _Fitted(NamedTuple):
    """One method in one fold."""

    estimator: Any
    test: NDArray[np.int64]
    """Rows of the file that are tested."""
    x_NP: Matrix
    """Their features, scaled."""


class ClassicalGolden:
    """Compares logistic and ridge regression, LDA and the rbf kernel with scikit-learn's."""

    def recognises(self, file: GoldenFile) -> bool:
        """Whether it has scores of classical methods."""
        return any(f"score/{name}" in file.arrays for name in METHODS)

    def verify(self, file: GoldenFile, device: torch.device, pack: bool) -> list[GoldenCheck]:
        """Fit all folds, and compare.

        Parameters
        ----------
        file : GoldenFile
            The file.
        device : device
            Where closed forms are solved.
        pack : bool
            Whether the folds of a closed form are solved together.
        """
        table = read_table(TABLE)
        rows = file.tensor("row", integer=True).numpy()
        if rows.ndim != 1 or not len(rows) or rows.min() < 0 or rows.max() >= len(table):
            raise CorpusError(f"'row' of {file.path} must number rows of {TABLE}, 0 … {len(table) - 1}.", HINT)
        columns = {"subject": table.subject[rows], "y": table.label[rows]}
        checks = [_same(f"{name} of the table", ours, file, name) for name, ours in columns.items()]
        fold_N = file.tensor("fold", (len(rows),), integer=True).numpy()
        for name in METHODS:
            fits = _fitted(file, name, table, rows, fold_N, device, pack)
            checks += _compared(file, name, fits, columns)
        return checks


def _fitted(
    file: GoldenFile,
    name: str,
    table: FeatureTable,
    rows: NDArray[np.int64],
    fold_N: NDArray[np.int64],
    device: torch.device,
    pack: bool,
) -> list[_Fitted]:
    """The method in each fold: trained on all subjects of the file that the fold does not test."""
    spec = _spec(file, name)
    fits, data = [], []
    for fold in np.unique(fold_N):
        test = np.flatnonzero(fold_N == fold)
        train = rows[~np.isin(table.subject[rows], table.subject[rows[test]])]
        if len(np.unique(table.label[train])) != 2:
            raise CorpusError(f"Fold {fold} of {file.path} must leave windows of two classes to train on.", HINT)
        scaler = Scaler.fit(spec.scaling, table.features[train])
        estimator = trainer_of(spec).estimator(spec, 0)  # type: ignore[attr-defined]
        fits.append(_Fitted(estimator, test, scaled(table.features, rows[test], scaler)))
        data.append((scaled(table.features, train, scaler), table.label[train]))
    closed = [fit.estimator for fit in fits if isinstance(fit.estimator, ClosedForm)]
    for estimator in closed:
        estimator.device = device
    if closed and pack:
        systems = [estimator.prepare(*own) for estimator, own in zip(closed, data, strict=True)]
        for estimator, w_PK in zip(closed, solve_together(systems), strict=True):
            assert w_PK is not None, "what scikit-learn solved has a solution"
            estimator.finish(w_PK)
    else:
        for fit, own in zip(fits, data, strict=True):
            fit.estimator.fit(*own)
    return fits


def _spec(file: GoldenFile, name: str) -> ExperimentSpec:
    """The experiment of a method, by the file's settings."""
    own = file.setting(name)
    try:
        settings: dict[str, Any] = {"scaling": SCALERS[file.setting("scalers")[name]]}
        match name:
            case "logistic":
                settings |= {"method": "linear", "c": own["C"], "solver": "newton", "tolerance": own["tol"]}
            case "lda":
                settings |= {"method": "lda"}
            case "ridge":
                settings |= {"method": "ridge", "alpha": own["alpha"]}
            case _:
                settings |= {"method": "svm", "c": own["C"], "tolerance": own["tol"]}
        return ExperimentSpec.model_validate(settings)
    except (KeyError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise CorpusError(f"The settings of '{name}' in {file.path} cannot be used: {reason}.", HINT) from None


def _compared(
    file: GoldenFile, name: str, fits: list[_Fitted], columns: dict[str, NDArray[Any]]
) -> Iterator[GoldenCheck]:
    tolerance = LIBSVM if name == "rbf_svm" else CLOSED_FORM
    score_N = torch.zeros(len(columns["y"]), dtype=torch.float64)
    for fit in fits:
        scores = fit.estimator.decision_function(fit.x_NP)
        # of the second class over the first
        score_N[torch.from_numpy(fit.test)] = torch.from_numpy(
            scores if scores.ndim == 1 else scores[:, 1] - scores[:, 0]
        )
    yield _near(f"{name}, scores", score_N, file, f"score/{name}", tolerance)
    if name in ("logistic", "lda"):
        yield _near(f"{name}, probabilities", score_N.sigmoid(), file, f"probability/{name}", tolerance)
    predicted = (score_N > 0).long().numpy()
    subject, label = columns["subject"], columns["y"]
    matrices = [confusion(label[subject == one], predicted[subject == one], 2) for one in np.unique(subject)]
    figures = torch.tensor([balanced_accuracy(matrix) for matrix in matrices], dtype=torch.float64)
    yield _near(f"{name}, balanced accuracy", figures, file, f"balanced_accuracy/{name}", 1e-12)
    if name == "rbf_svm":
        machines = [fit.estimator for fit in fits]
        assert all(isinstance(machine, RbfSvm) for machine in machines)
        gamma = torch.tensor([machine.gamma for machine in machines], dtype=torch.float64)
        yield _near("rbf_svm, γ", gamma, file, "rbf_svm_gamma", 1e-12)
        yield _same(
            "rbf_svm, support vectors", np.array([m.support_vectors for m in machines]), file, "rbf_svm_support_vectors"
        )
    else:
        coefficients = torch.stack([_coefficients(fit) for fit in fits])
        yield _near(f"{name}, coefficients", coefficients, file, f"{name}_coef", tolerance)


def _coefficients(fit: _Fitted) -> Tensor:
    """Of the features and, last, the constant: what the scores of unit vectors are beyond that of zero."""
    features = fit.x_NP.shape[1]
    scores = fit.estimator.decision_function(np.concatenate((np.eye(features), np.zeros((1, features)))))
    scores = scores if scores.ndim == 1 else scores[:, 1] - scores[:, 0]
    return torch.from_numpy(np.concatenate((scores[:-1] - scores[-1], scores[-1:])))


def _near(quantity: str, ours: Tensor, file: GoldenFile, name: str, tolerance: float) -> GoldenCheck:
    return GoldenCheck(quantity, relative_error(ours, file.tensor(name, tuple(ours.shape))), tolerance)


def _same(quantity: str, ours: NDArray[Any], file: GoldenFile, name: str) -> GoldenCheck:
    """Whole numbers: the error is the share of those that differ."""
    golden = file.tensor(name, ours.shape, integer=True).numpy()
    return GoldenCheck(quantity, float(np.mean(ours != golden)), 0.0)
