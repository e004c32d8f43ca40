"""Methods that are fitted at once: scores, scaling, failures, and logistic regression by its equation."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from method_conformance import MethodConformance
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.model_selection import FixedThresholdClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC
from training_cases import TABLES_OF, TARGET, make_table, tables_with, with_columns

from scmmlab.config import CorpusSelection, ExperimentSpec, TransferSpec
from scmmlab.errors import TrainingError
from scmmlab.methods import registry
from scmmlab.methods.linear.trainer import LinearTrainer
from scmmlab.methods.one_shot import OneShotTrainer, check_scores, predicted_logits, scaled
from scmmlab.tables import read_table
from scmmlab.training import CellRequest, Reporter, StageFailure, StageOutput, SweepRequest
from scmmlab.training.predictions import probabilities
from scmmlab.training.stages import run_cell_stage, run_evaluate_stage, run_sweep_stage


class Cases(MethodConformance):
    __test__ = False
    method = "linear"


CASES = Cases()


def data(classes, windows=300, seed=0):
    rng = np.random.default_rng(seed)
    y = np.arange(windows) % classes
    return rng.normal(size=(windows, 6)) + np.eye(classes, 6)[y], y


@pytest.mark.parametrize("classes", [2, 3, 5])
@pytest.mark.parametrize(
    "estimator",
    [
        LogisticRegression(),
        LinearDiscriminantAnalysis(),
        KNeighborsClassifier(5),
        RandomForestClassifier(10, random_state=0),
    ],
    ids=lambda value: type(value).__name__,
)
def test_softmax_of_the_scores_is_the_probability_of_an_estimator_that_has_one(estimator, classes):
    x, y = data(classes)
    estimator.fit(x, y)
    logits = predicted_logits(estimator, x, classes)
    assert np.isfinite(logits).all()
    np.testing.assert_allclose(probabilities(logits), estimator.predict_proba(x), atol=1e-5)


@pytest.mark.parametrize("classes", [2, 3, 5])
@pytest.mark.parametrize(
    "estimator", [LinearSVC(), RidgeClassifier(), SVC(break_ties=True)], ids=lambda value: type(value).__name__
)
def test_decision_values_choose_the_class_that_the_estimator_predicts(estimator, classes):
    x, y = data(classes)
    estimator.fit(x, y)
    logits = predicted_logits(estimator, x, classes)
    assert logits.shape == (len(x), classes)
    np.testing.assert_array_equal(logits.argmax(1), estimator.predict(x))
    check_scores(estimator, x, logits)


@pytest.mark.parametrize(
    "estimator",
    [
        SVC(decision_function_shape="ovo"),
        make_pipeline(StandardScaler(), SVC(decision_function_shape="ovo")),
        FixedThresholdClassifier(LogisticRegression(), threshold=0.9),
    ],
    ids=["pairs", "pairs in a pipeline", "threshold"],
)
def test_scores_that_are_not_what_the_estimator_predicts_by_are_refused(estimator):
    classes = 2 if isinstance(estimator, FixedThresholdClassifier) else 3  # as many pairs as classes
    x, y = data(classes)
    estimator.fit(x, y)
    with pytest.raises(TrainingError, match="must be that of the class that it predicts"):
        check_scores(estimator, x, predicted_logits(estimator, x, classes))


@pytest.mark.parametrize("estimator", [LogisticRegression(), LinearSVC()], ids=lambda value: type(value).__name__)
def test_class_that_was_not_seen_is_never_predicted_and_keeps_its_column(estimator):
    x, y = data(4)
    estimator.fit(x[y != 1], y[y != 1])
    logits = predicted_logits(estimator, x, 4)
    assert logits.shape == (len(x), 4)
    np.testing.assert_array_equal(logits.argmax(1), estimator.predict(x))
    assert probabilities(logits)[:, 1].max() < 1e-30


@pytest.mark.parametrize("scores", [np.zeros((128, 5)), np.full((128, 3), np.nan), np.zeros((128, 3, 1))])
def test_scores_that_are_not_one_number_a_class_are_refused(scores):
    class Odd:
        def decision_function(self, x):
            return scores

    with pytest.raises(TrainingError, match="one finite number for each of 3 classes"):
        predicted_logits(Odd(), np.zeros((7, 2)), 3)


@pytest.mark.parametrize("protocol", ["honest", "released", "zero_shot"])
def test_parts_are_scaled_as_the_protocol_says_in_float64(protocol):
    for run in CASES.runs(CASES.request(protocol=protocol)):
        fold = run.data.fold
        x = scaled(run.data.seen_features, fold.finetune, run.data.scaler)
        assert x.dtype == np.float64
        np.testing.assert_allclose(x.mean(0), 0, atol=1e-12)
        np.testing.assert_allclose(x.std(0), 1, atol=1e-12)
        test = scaled(run.data.test_features, fold.test, run.data.test_scaler)
        assert (np.abs(test.mean(0)).max() < 1e-12) == (protocol == "released")


def test_linear_is_the_minimum_of_its_equation():
    # C Σ_i v_i CE(softmax(W x_i + b), y_i) + ‖W‖² / 2, minimised by another optimiser and in another parametrisation
    x, y = data(3, windows=120)
    y[:60] = 0
    for weight in ("none", "balanced"):
        spec = CASES.experiment(c=0.7, class_weight=weight)
        fitted = LinearTrainer().estimator(spec, 0).fit(x, y)
        counts = np.bincount(y)
        v = torch.tensor((len(y) / (3 * counts))[y] if weight == "balanced" else np.ones(len(y)))
        w = torch.zeros(3, 6, dtype=torch.float64, requires_grad=True)
        b = torch.zeros(3, dtype=torch.float64, requires_grad=True)
        optimizer = torch.optim.LBFGS([w, b], max_iter=500, tolerance_grad=1e-10, line_search_fn="strong_wolfe")

        def loss(w=w, b=b, v=v, optimizer=optimizer):
            optimizer.zero_grad()
            each = torch.nn.functional.cross_entropy(torch.tensor(x) @ w.T + b, torch.tensor(y), reduction="none")
            total = 0.7 * (v * each).sum() + (w**2).sum() / 2
            total.backward()
            return total

        optimizer.step(loss)
        expected = torch.softmax(torch.tensor(x) @ w.T + b, 1).detach().numpy()
        np.testing.assert_allclose(fitted.predict_proba(x), expected, atol=2e-3)


@pytest.mark.parametrize("scaling", ["min_max", "standard", "none"])
def test_features_that_are_constant_and_parts_of_few_windows_give_finite_figures(scaling):
    table = make_table("target", windows=1, seed=2)
    features = table.features.copy()
    features[:, 0] = 3.0
    tables = tables_with(target=with_columns(table, features=features))
    request = CASES.request(scaling=scaling)
    (output,) = run_cell_stage([request], tables, Reporter())
    assert isinstance(output, StageOutput), output
    record = run_evaluate_stage(request, output, tables).record
    assert all(np.isfinite(fold["test"]["balanced_accuracy"]) for fold in record["folds"])


def test_features_of_which_none_says_anything_are_told_by_chance():
    tables = tables_with(target=with_columns(TARGET, features=np.ones_like(TARGET.features)))
    request = CASES.request()
    (output,) = run_cell_stage([request], tables, Reporter())
    record = run_evaluate_stage(request, output, tables).record
    assert {fold["test"]["balanced_accuracy"] for fold in record["folds"]} == {0.5}


def test_fit_that_does_not_converge_fails_with_the_fold_the_reason_and_a_hint():
    (failure,) = run_cell_stage([CASES.request("tight", max_iterations=2)], TABLES_OF, Reporter())
    assert isinstance(failure, StageFailure)
    assert failure.error.startswith(
        "The fit of tight on 'subject 0' did not converge: lbfgs failed to converge after 2"
    )
    assert "Hint: allow it more iterations" in failure.error


def test_warnings_that_say_something_else_fail_nothing(monkeypatch):
    class Warns(LogisticRegression):
        def fit(self, X, y):
            warnings.warn("by the way", UserWarning, stacklevel=1)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)  # its own affair
                warnings.warn("never mind", ConvergenceWarning, stacklevel=1)
            return super().fit(X, y)

    class Trainer(OneShotTrainer):
        def estimator(self, spec, seed):
            return Warns()

    made = Trainer()
    monkeypatch.setattr(registry, "trainer", lambda name: made)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        (output,) = run_cell_stage([CASES.request()], TABLES_OF, Reporter())
    assert isinstance(output, StageOutput)


def test_estimator_that_draws_has_a_seed_of_its_cell_and_fold_alone(monkeypatch):
    seeds = []

    class Trainer(OneShotTrainer):
        def estimator(self, spec, seed):
            seeds.append(seed)
            return RandomForestClassifier(3, random_state=seed)

    made = Trainer()
    monkeypatch.setattr(registry, "trainer", lambda name: made)
    for seed in (0, 1, 0):
        run_cell_stage([CASES.request(seed=seed)], TABLES_OF, Reporter())
    first, other, again = (seeds[4 * n : 4 * n + 4] for n in range(3))
    assert first == again
    assert len({*first, *other}) == 8, "each fold of each cell has its own"


def test_setting_of_a_sweep_is_judged_by_the_mean_of_its_validation_scores():
    request = CASES.request(c=0.01)
    asked = SweepRequest("s", request.experiment, 0, request.transfer, request.channels, 1)
    outcome = run_sweep_stage(asked, TABLES_OF, Reporter())
    (output,) = run_cell_stage([request], TABLES_OF, Reporter())
    expected = np.mean([fold["validation"]["balanced_accuracy"] for fold in output.record["folds"]])
    assert outcome.record["probe"] == pytest.approx(expected)
    assert outcome.record["probes"] == [{"epoch": 1, "probe": outcome.record["probe"]}]


@pytest.mark.parametrize(
    ("settings", "mean", "deviation"),
    [
        ({}, 70.1, 12.5),
        ({"c": 0.01}, 73.0, 15.0),
        ({"scaling": "min_max"}, 73.1, 15.7),
        ({"method": "lda"}, 73.0, 12.4),
        ({"method": "svm", "kernel": "linear"}, 69.3, 11.6),
        ({"method": "majority"}, 50.0, 0.0),
    ],
    ids=["c=1", "c=0.01", "min_max", "lda", "linear svm", "majority"],
)
def test_methods_have_the_figures_that_scikit_learn_alone_gave_on_real_eeg(settings, mean, deviation):
    table = read_table("shipped:eegmat")
    transfer = TransferSpec(
        name="a-to-b",
        source=CorpusSelection(table="shipped:eegmat", subjects=range(18)),
        target=CorpusSelection(table="shipped:eegmat", subjects=range(18, 36)),
    )
    spec = ExperimentSpec.model_validate(
        {"method": "linear", "protocol": {"kind": "loso", "subjects_per_fold": 3}, **settings}
    )
    request = CellRequest("c", spec, 0, transfer, table.manifest.channels, None)
    tables = {"shipped:eegmat": table}.__getitem__
    (output,) = run_cell_stage([request], tables, Reporter())
    record = run_evaluate_stage(request, output, tables).record
    of_subjects = [100 * one["balanced_accuracy"] for fold in record["folds"] for one in fold["by_subject"].values()]
    assert len(of_subjects) == 18
    assert np.mean(of_subjects) == pytest.approx(mean, abs=0.05)
    assert np.std(of_subjects, ddof=1) == pytest.approx(deviation, abs=0.05)
