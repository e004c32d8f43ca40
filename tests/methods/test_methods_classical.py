"""The classical methods against scikit-learn: its golden scores on real EEG, and classes of unequal size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from method_conformance import _pool
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import SVC, LinearSVC

from scmmlab.config import CorpusSelection, ExperimentSpec, TransferSpec, resolve_variant
from scmmlab.errors import SpecError
from scmmlab.evaluation.metrics import balanced_accuracy, confusion
from scmmlab.methods.classical.closed_form import ClosedFormTrainer, LinearSystem, solve_together
from scmmlab.methods.contract import KeyRules
from scmmlab.methods.one_shot import OneShotTrainer, finetune_part, predicted_logits, scaled
from scmmlab.methods.pretraining_view import what_matters
from scmmlab.methods.registry import all_methods, method_of, trainer, trainer_of
from scmmlab.tables import read_table
from scmmlab.training import CellRequest
from scmmlab.training.data import Selections, cell_data
from scmmlab.training.finetune_stage import cell_run

GOLDEN = Path(__file__).parents[1] / "golden" / "methods" / "eegmat_oracles.npz"
TABLE = "shipped:eegmat"
PROTOCOL = {
    "kind": "released",
    "split": "leave_subjects_out",
    "subjects_per_fold": 3,
    "scale_each_part": False,
    "epoch_selection": "last",
}
"""As in the golden file: trained on all other subjects of the target, without a validation part."""
METHODS = {
    "logistic": ({"method": "linear", "scaling": "min_max", "solver": "newton", "tolerance": 1e-12}, 1e-8),
    "lda": ({"method": "lda"}, 1e-8),
    "ridge": ({"method": "ridge"}, 1e-8),
    "rbf_svm": ({"method": "svm"}, 1e-5),
}
"""Name in the golden file → settings, and how close the scores are asked to be."""


def test_what_scikit_learn_computes_is_kept_from_the_gpu_and_nothing_else():
    of_cpu = {method.name for method in all_methods() if method.runs_on == "cpu"}
    assert of_cpu == {
        method.name
        for method in all_methods()
        if isinstance(trainer(method.name), OneShotTrainer) and not isinstance(trainer(method.name), ClosedFormTrainer)
    }
    assert {"linear", "svm", "knn", "majority"} <= of_cpu


@pytest.fixture(scope="module")
def golden():
    with np.load(GOLDEN, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


@pytest.fixture(scope="module")
def eegmat():
    return read_table(TABLE)


def runs_on_eegmat(table, **settings):
    sides = {"source": range(18), "target": range(18, 36)}
    selections = {name: CorpusSelection(table=TABLE, subjects=subjects) for name, subjects in sides.items()}
    spec = ExperimentSpec.model_validate({"protocol": PROTOCOL, **settings})
    request = CellRequest("c", spec, 0, TransferSpec(name="t", **selections), table.manifest.channels, None)
    return cell_run(request, cell_data(request, Selections({TABLE: table}.__getitem__))).runs


def estimator_of(run):
    spec, part = run.experiment, finetune_part(run, run.experiment.context)
    return trainer_of(spec).estimator(spec, 0).fit(part.x, part.labels(run.data.finetune_label))


def over_first(scores):
    """Scores of all classes but the first, over it: what all classes of a window share is nothing to probabilities."""
    return scores[:, None] if scores.ndim == 1 else scores[:, 1:] - scores[:, :1]


@pytest.mark.parametrize("name", METHODS)
def test_scores_and_figures_on_real_eeg_are_those_that_scikit_learn_gave(name, golden, eegmat):
    settings, tolerance = METHODS[name]
    runs = runs_on_eegmat(eegmat, **settings)
    parts = [scaled(run.data.test_features, run.data.fold.test, run.data.test_scaler) for run in runs]
    fitted = [estimator_of(run) for run in runs]
    ours = np.concatenate([over_first(one.decision_function(x))[:, 0] for one, x in zip(fitted, parts, strict=True)])
    expected = golden[f"score/{name}"]
    assert ours.shape == expected.shape == (2196,)
    assert np.linalg.norm(ours - expected) <= tolerance * np.linalg.norm(expected)

    # what a cell is judged by
    pairs = zip(fitted, parts, strict=True)
    predicted = np.concatenate([predicted_logits(one, x, 2).argmax(1) for one, x in pairs])
    of_subjects = golden[f"balanced_accuracy/{name}"]
    for subject, figure in zip(range(18, 36), of_subjects, strict=True):
        own = golden["subject"] == subject
        assert balanced_accuracy(confusion(golden["y"][own], predicted[own], 2)) == pytest.approx(figure, abs=1e-12)


@pytest.mark.parametrize("name", ["lda", "ridge"])
def test_folds_that_are_solved_together_have_the_bits_that_each_has_alone(name, eegmat):
    runs = runs_on_eegmat(eegmat, method=name)
    trainer = trainer_of(runs[0].experiment)
    pack = trainer.finetune_pack(runs, _pool(runs))
    assert pack.train_epoch() == [None] * len(runs) == [None] * 6
    for run, result in zip(runs, pack.results(), strict=True):
        x = scaled(run.data.test_features, run.data.fold.test, run.data.test_scaler)
        np.testing.assert_array_equal(result.test_logits, predicted_logits(estimator_of(run), x, 2))


# --- classes of unequal size -----------------------------------------------------------------------------------------


def data(classes, windows=240, features=12, seed=0):
    """Classes of unequal size and correlated features, of which one is constant and one is of another magnitude."""
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.repeat(np.arange(classes), [windows // 2, *[windows // 2 // (classes - 1)] * (classes - 1)]))
    x = rng.normal(size=(len(y), features)) @ rng.normal(size=(features, features)) + 2 * np.eye(classes, features)[y]
    x[:, 4] = 0.3
    x[:, 5] *= 1e3
    return x, y


def equal_priors(classes):
    return np.full(classes, 1 / classes)


CASES = [
    ({"method": "ridge"}, lambda k: RidgeClassifier()),
    ({"method": "ridge", "alpha": 30.0}, lambda k: RidgeClassifier(alpha=30.0)),
    ({"method": "ridge", "class_weight": "balanced"}, lambda k: RidgeClassifier(class_weight="balanced")),
    ({"method": "lda"}, lambda k: LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")),
    ({"method": "lda", "shrinkage": 0.3}, lambda k: LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.3)),
    (
        {"method": "lda", "class_weight": "balanced"},
        lambda k: LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto", priors=equal_priors(k)),
    ),
    ({"method": "svm"}, lambda k: SVC(tol=1e-6, break_ties=True)),
    (
        {"method": "svm", "c": 30.0, "gamma": 0.1, "class_weight": "balanced"},
        lambda k: SVC(C=30.0, gamma=0.1 / (12 * data(k)[0].var()), tol=1e-6, class_weight="balanced", break_ties=True),
    ),
    (
        {"method": "svm", "kernel": "linear", "c": 0.1},
        lambda k: LinearSVC(C=0.1, tol=1e-6, max_iter=10**6),
    ),
    ({"method": "knn", "neighbors": 15}, lambda k: KNeighborsClassifier(15)),
    ({"method": "knn", "metric": "cosine"}, lambda k: KNeighborsClassifier(5, metric="cosine")),
    ({"method": "linear", "c": 0.1}, lambda k: LogisticRegression(C=0.1, max_iter=1000)),
]


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize(("settings", "theirs"), CASES, ids=[str(settings) for settings, _ in CASES])
def test_scores_are_those_of_scikit_learn(settings, theirs, classes):
    x, y = data(classes)
    if settings["method"] == "linear":
        x[:, 5] /= 1e3  # L-BFGS does not converge else
    new = data(classes, seed=1)[0]
    spec = ExperimentSpec.model_validate(settings)
    estimator = trainer_of(spec).estimator(spec, 0).fit(x, y)
    ours = predicted_logits(estimator, new, classes)
    expected = theirs(classes).fit(x, y)
    np.testing.assert_array_equal(ours.argmax(1), expected.predict(new))
    # what is stored is float32 ...
    theirs_stored = predicted_logits(expected, new, classes)
    np.testing.assert_allclose(over_first(ours), over_first(theirs_stored), rtol=1e-5, atol=1e-5)
    # ... of what is computed in float64
    if hasattr(expected, "decision_function"):
        scores = (each.decision_function(new) for each in (estimator, expected))
        np.testing.assert_allclose(*map(over_first, scores), rtol=1e-8, atol=1e-8)


def test_units_of_features_are_nothing_to_lda():
    x, y = data(3)
    spec = ExperimentSpec.model_validate({"method": "lda"})
    scores = [
        trainer_of(spec).estimator(spec, 0).fit(x * units, y).decision_function(x * units)
        for units in (1.0, np.geomspace(1e-3, 1e3, 12))
    ]
    np.testing.assert_allclose(*scores, rtol=1e-8, atol=1e-8)


@pytest.mark.filterwarnings("ignore:Only one sample")
@pytest.mark.parametrize("features", [1, 12])
@pytest.mark.parametrize("rows", [1, 2, 3])
def test_lda_of_few_rows_or_of_one_feature_is_scikit_learn_s(rows, features):
    x, y = data(3, features=max(features, 6))
    x = x[:, :features]
    kept = np.concatenate([np.flatnonzero(y == 0)[:rows], np.flatnonzero(y == 1)[:9], np.flatnonzero(y == 2)[:20]])
    spec = ExperimentSpec.model_validate({"method": "lda"})
    ours = trainer_of(spec).estimator(spec, 0).fit(x[kept], y[kept]).decision_function(x)
    theirs = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto").fit(x[kept], y[kept]).decision_function(x)
    np.testing.assert_allclose(over_first(ours), over_first(theirs), rtol=1e-8, atol=1e-8)


def test_systems_of_several_shapes_are_each_solved_and_one_without_a_solution_is_told():
    rng = np.random.default_rng(0)

    def system(features, columns, rank):
        root = torch.from_numpy(rng.normal(size=(features, rank)))
        return LinearSystem(root @ root.T, torch.from_numpy(rng.normal(size=(features, columns))))

    systems = [system(5, 2, 9), system(7, 1, 9), system(5, 2, 4), system(5, 2, 6), system(7, 1, 0)]
    units_P1 = torch.logspace(-9, 9, 5, dtype=torch.float64)[:, None]
    # the first, in other units: no worse, though its numbers differ by 36 orders of magnitude
    systems.append(LinearSystem(units_P1 * systems[0].a_PP * units_P1.T, units_P1 * systems[0].b_PK))
    *solved, rescaled = solve_together(systems)
    assert [w is None for w in solved] == [False, False, True, False, True]
    for one, w in zip(systems[:-1], solved, strict=True):
        if w is not None:
            torch.testing.assert_close(one.a_PP @ w, one.b_PK, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(rescaled * units_P1, solved[0], rtol=1e-9, atol=1e-9)


# --- settings --------------------------------------------------------------------------------------------------------


def test_settings_that_logistic_regression_has_gained_leave_its_keys_as_they_were():
    spec = ExperimentSpec.model_validate({"method": "linear"})
    rules: KeyRules = method_of(spec).rules
    for those in (rules.finetune, rules.probe):
        assert what_matters(spec, those).keys() == {
            "method", "c", "class_weight", "max_iterations", "scaling", "protocol",
        }  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"method": "ridge", "alpha": 0}, r"'alpha' in .*: it must lie in \(0, 1000000000.0\], got 0"),
        (
            {"method": "lda", "shrinkage": 1.5},
            r"'shrinkage' in .*: it must be a number \(in \[0, 1\]\) or 'auto', got 1.5",
        ),
        ({"method": "lda", "shrinkage": "Auto"}, r"a number \(in \[0, 1\]\) or 'auto', got 'Auto'"),
        ({"method": "svm", "kernel": "poly"}, "'kernel' in .*: it must be one of 'rbf', 'linear', got 'poly'"),
        ({"method": "svm", "gamma": "scale"}, "'gamma' in .*: it must be a number, got 'scale'"),
        ({"method": "knn", "neighbors": 0}, "'neighbors' in .*: it must be at least 1, got 0"),
        ({"method": "linear", "context": "trial"}, "one of 'window', 'trial_mean', 'vote', got 'trial'; did you mean"),
        ({"method": "majority", "context": "vote"}, "Unknown key 'context'"),
    ],
)
def test_settings_that_make_no_sense_are_refused_when_they_are_read(changes, message):
    with pytest.raises(SpecError, match=message):
        resolve_variant(ExperimentSpec.model_validate({}), changes)
