"""What is classified: a trial's windows together, and never those of another trial, part or fold."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from method_conformance import MethodConformance
from sklearn.linear_model import RidgeClassifier
from sklearn.neighbors import KNeighborsClassifier
from training_cases import make_table, tables_with, with_columns

from scmmlab.config import CorpusSelection
from scmmlab.evaluation import trial_numbers
from scmmlab.methods.classical.knn import SmoothedNeighbors
from scmmlab.methods.one_shot import predicted_logits, scaled
from scmmlab.methods.trial_context import Part


class Cases(MethodConformance):
    __test__ = False
    method = "ridge"


CASES = Cases()
PROTOCOLS = ("honest", "loso", "zero_shot", "released")


def in_sessions(corpus, seed):
    """Two sessions, whose trials have the same numbers."""
    table = make_table(corpus, trials=16, seed=seed)
    return with_columns(table, session=table.trial // 8, trial=table.trial % 8)


TABLES = {"source": in_sessions("source", 1), "target": in_sessions("target", 2)}


def fitted(protocol, context, target=TABLES["target"], **settings):
    changes = {**settings, "protocol.epoch_selection": "last"}
    request = CASES.request(protocol=protocol, context=context, **changes)
    runs = CASES.runs(request, tables_with(**{**TABLES, "target": target}))
    return CASES.fitted(runs)


def log_softmax(logits):
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


@pytest.mark.parametrize("selection", [{}, {"subjects": [1, 3], "sessions": [1]}, {"classes": ["busy"]}])
def test_rows_have_one_trial_number_if_subject_session_and_trial_are_one(selection):
    table = TABLES["target"].select(CorpusSelection(table="target", **selection))
    columns = np.stack([table.subject, table.session, table.trial], axis=1)
    expected = np.unique(columns, axis=0, return_inverse=True)[1].ravel()
    np.testing.assert_array_equal(trial_numbers(table), expected)
    assert len(np.unique(expected)) > 3


def test_rows_of_a_part_need_not_be_in_order_and_trials_may_differ_in_length():
    trial = np.array([7, 2, 7, 2, 7, 5])
    x = np.arange(12.0).reshape(6, 2)
    logits = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
    mean = Part(x, trial, "trial_mean")
    np.testing.assert_allclose(mean.x, [x[trial == one].mean(0) for one in (2, 5, 7)])
    np.testing.assert_array_equal(mean.labels(trial % 3), [2, 2, 1])
    np.testing.assert_array_equal(mean.of_windows(logits[:3]), logits[[2, 0, 2, 0, 2, 1]])
    vote = Part(x, trial, "vote")
    assert vote.x is x
    expected = np.stack([log_softmax(logits)[trial == one].mean(0) for one in trial])
    np.testing.assert_allclose(vote.of_windows(logits), expected, atol=1e-6)
    for context in ("trial_mean", "vote"):
        nothing = Part(x[:0], trial[:0], context)
        assert nothing.x.shape == (0, 2)
        assert nothing.of_windows(logits[:0]).shape == (0, 3)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_vote_is_the_mean_log_probability_of_a_trial_s_own_windows(protocol):
    for window, vote in zip(fitted(protocol, "window"), fitted(protocol, "vote"), strict=True):
        data = vote.run.data
        parts = [(data.test_trial, data.fold.test, "test_logits")]
        if len(data.fold.validation):
            parts.append((data.seen_trial, data.fold.validation, "validation_logits"))
        for trial, rows, name in parts:
            alone = log_softmax(getattr(window, name))
            own = np.stack([alone[trial[rows] == one].mean(axis=0) for one in trial[rows]])
            np.testing.assert_allclose(getattr(vote, name), own, atol=1e-6)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_trial_mean_is_scikit_learn_s_on_the_means_of_the_trials(protocol):
    for result in fitted(protocol, "trial_mean", alpha=0.5):
        data, fold = result.run.data, result.run.data.fold

        def means(features, rows, scaler, trial):
            x = scaled(features, rows, scaler)
            return np.stack([x[trial[rows] == one].mean(axis=0) for one in np.unique(trial[rows])])

        x = means(data.seen_features, fold.finetune, data.scaler, data.seen_trial)
        trials, first = np.unique(data.seen_trial[fold.finetune], return_index=True)
        assert len(trials) < len(fold.finetune) / 5
        theirs = RidgeClassifier(alpha=0.5).fit(x, data.finetune_label[first])
        of_trials = predicted_logits(theirs, means(data.test_features, fold.test, data.test_scaler, data.test_trial), 2)
        of_windows = of_trials[np.unique(data.test_trial[fold.test], return_inverse=True)[1]]
        np.testing.assert_allclose(result.test_logits, of_windows, atol=1e-6)


@pytest.mark.parametrize("context", ["vote", "trial_mean"])
@pytest.mark.parametrize("protocol", ["honest", "loso", "zero_shot"])
def test_windows_of_a_test_trial_move_its_own_predictions_and_nothing_else(protocol, context):
    before = fitted(protocol, context)
    number = len(before) - 1
    fold, trial = before[number].run.data.fold, before[number].run.data.test_trial
    # the first of the last fold's test trials, by one of its windows
    moved = fold.test[0]
    features = TABLES["target"].features.copy()
    features[moved] += 5.0
    after = fitted(protocol, context, with_columns(TABLES["target"], features=features))
    own = trial[fold.test] == trial[moved]
    assert 0 < own.sum() < len(own)
    assert before[number].model_digest == after[number].model_digest
    np.testing.assert_array_equal(before[number].validation_logits, after[number].validation_logits)
    changed = (before[number].test_logits != after[number].test_logits).any(axis=1)
    np.testing.assert_array_equal(changed, own)


@pytest.mark.parametrize("protocol", ["honest", "loso"])
def test_windows_of_a_validation_trial_move_no_prediction_of_the_test_part(protocol):
    before = fitted(protocol, "vote")[0]
    data = before.run.data
    features = TABLES["target"].features.copy()
    features[data.fold.validation[0]] += 5.0
    after = fitted(protocol, "vote", with_columns(TABLES["target"], features=features))[0]
    assert before.model_digest == after.model_digest
    np.testing.assert_array_equal(before.test_logits, after.test_logits)
    changed = (before.validation_logits != after.validation_logits).any(axis=1)
    trial = data.seen_trial[data.fold.validation]
    np.testing.assert_array_equal(changed, trial == trial[0])


def test_windows_that_say_little_each_say_more_as_a_trial():
    tables = {name: make_table(name, trials=20, windows=8, seed=seed) for seed, name in enumerate(("source", "target"))}
    rng = np.random.default_rng(1)
    for table in tables.values():
        table.features[:] = rng.normal(size=table.features.shape) + 0.12 * table.label[:, None, None]

    def accuracy(context):
        request = CASES.request(protocol="loso", context=context)
        results = CASES.fitted(CASES.runs(request, tables_with(**tables)))
        label = tables["target"].label
        return np.mean(np.concatenate([r.test_logits.argmax(1) == label[r.run.data.fold.test] for r in results]))

    alone, together = accuracy("window"), accuracy("vote")
    assert together > alone + 0.05 > 0.6


def test_neighbours_of_a_vote_cannot_be_outvoted_by_a_single_window():
    # four windows lie among class 0, one among class 1, which with plain shares would have to be impossible for both
    x = np.concatenate([np.zeros((5, 1)), np.ones((5, 1))])
    y = np.repeat([0, 1], 5)
    asked = np.array([[0.0], [0.1], [0.0], [0.1], [0.9]])
    voting = SmoothedNeighbors(KNeighborsClassifier(5)).fit(x, y)
    np.testing.assert_allclose(voting.predict_proba(asked), [[6 / 7, 1 / 7]] * 4 + [[1 / 7, 6 / 7]])
    logits = Part(asked, np.zeros(5, dtype=np.int64), "vote").of_windows(predicted_logits(voting, asked, 2))
    expected = np.log([6 / 7, 1 / 7]) * 4 / 5 + np.log([1 / 7, 6 / 7]) / 5
    np.testing.assert_allclose(logits, [expected] * 5, atol=1e-6)


@pytest.mark.parametrize("method", ["linear", "lda", "svm", "knn"])
@pytest.mark.parametrize("context", ["vote", "trial_mean"])
def test_windows_of_a_trial_have_one_prediction_with_any_method(method, context):
    class Other(Cases):
        __test__ = False

    Other.method = method
    cases = Other()
    settings = {"neighbors": 1} if method == "knn" else {}
    request = cases.request(protocol="loso", context=context, **settings)
    for result in cases.fitted(cases.runs(request)):
        trial = result.run.data.test_trial[result.run.data.fold.test]
        for one in np.unique(trial):
            assert len(np.unique(result.test_logits[trial == one], axis=0)) == 1


def test_part_is_not_shared_by_folds():
    """A trial number of one table is no trial of the other."""
    (result, *_) = fitted("zero_shot", "vote")
    run = result.run
    assert run.data.fold.trained_on == "source"
    assert len(run.data.seen_trial) == len(TABLES["source"])
    other = replace(run, data=replace(run.data, seen_trial=run.data.test_trial * 0))
    (merged,) = CASES.fitted((other,))
    np.testing.assert_array_equal(merged.test_logits, result.test_logits)
    assert len(np.unique(merged.validation_logits, axis=0)) == 1 < len(np.unique(result.validation_logits, axis=0))
