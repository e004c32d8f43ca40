"""The conformance suite fails for a method that breaks a promise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from method_conformance import MethodConformance
from reachable import holds
from sklearn.linear_model import LogisticRegression
from training_cases import TABLES_OF, TARGET

from scmmlab.methods import registry
from scmmlab.methods.linear.trainer import LinearTrainer
from scmmlab.methods.one_shot import OneShotPack


class TestedLinear(MethodConformance):
    __test__ = False
    method = "linear"
    failing = {"max_iterations": 1}
    by_heart = {"c": 100.0}


class DrawsGlobally(LogisticRegression):
    def fit(self, X, y):
        return super().fit(X + np.random.normal(size=X.shape), y)  # noqa: NPY002


class LooksAtTheBatch(LogisticRegression):
    def predict_proba(self, X):
        return super().predict_proba(X - X.mean(axis=0))


class Guesses(LogisticRegression):
    def predict_proba(self, X):
        return np.full((len(X), len(self.classes_)), 0.5)


class CountsItsFits(LogisticRegression):
    fits = 0

    def fit(self, X, y):
        type(self).fits += 1
        return super().fit(X * self.fits, y)


def with_estimator(kind: type) -> Callable[[], LinearTrainer]:
    class Faulty(LinearTrainer):
        def estimator(self, spec, seed):
            return kind(C=spec.c, max_iter=spec.max_iterations)

    return Faulty


class ForgetsOnRestore(LinearTrainer):
    def finetune_pack(self, runs, pool):
        class Pack(OneShotPack):
            def restore(self, r, checkpoint):
                super().restore(r, checkpoint)
                self.runs[r].curve = []

        return Pack(runs, self)


class SharesFailures(LinearTrainer):
    def finetune_pack(self, runs, pool):
        class Pack(OneShotPack):
            def train_epoch(self):
                errors = super().train_epoch()
                return [next((e for e in errors if e), None)] * len(errors)

        return Pack(runs, self)


@pytest.mark.parametrize(
    ("trainer", "test"),
    [
        (with_estimator(DrawsGlobally), "test_global_generators_are_left_alone_and_decide_nothing"),
        (
            with_estimator(LooksAtTheBatch),
            "test_prediction_of_a_window_does_not_depend_on_what_is_predicted_with_it",
        ),
        (with_estimator(Guesses), "test_two_trials_can_be_learnt_by_heart"),
        (with_estimator(CountsItsFits), "test_cell_among_others_gives_what_it_gives_alone"),
        (SharesFailures, "test_cell_whose_neighbour_fails_gives_what_it_gives_alone"),
        (ForgetsOnRestore, "test_checkpoint_before_the_first_epoch_and_after_the_last_is_gone_on_with"),
    ],
)
def test_method_that_breaks_a_promise_is_caught(monkeypatch, trainer, test):
    getattr(TestedLinear(), test)()
    made = trainer()
    monkeypatch.setattr(registry, "trainer", lambda name: made)
    with pytest.raises(AssertionError):
        getattr(TestedLinear(), test)()


class TestedWithALeak(TestedLinear):
    __test__ = False

    def runs(self, request, tables=TABLES_OF):
        hint = torch.from_numpy(tables("target").label)
        return tuple(replace(run, start={"hint": hint}) for run in super().runs(request, tables))


@pytest.mark.parametrize("protocol", ["honest", "loso", "zero_shot"])
def test_labels_that_are_handed_to_a_trainer_are_caught(protocol):
    with pytest.raises(AssertionError):
        TestedWithALeak().test_nothing_that_its_trainer_is_handed_leads_to_a_test_label(protocol)


LABEL = np.random.default_rng(0).integers(0, 2, size=40)


@pytest.mark.parametrize(
    "hidden",
    [
        LABEL,
        LABEL[5:],
        np.concatenate(([7, 7], LABEL)),
        LABEL.astype(np.float32),
        np.stack((LABEL, LABEL)).reshape(2, 1, -1),
        LABEL.tolist(),
        tuple(LABEL),
        torch.from_numpy(LABEL),
        LABEL.tobytes(),
        {"a": [SimpleNamespace(deep=LABEL)]},
        (lambda kept: lambda: kept)(LABEL),
        lambda label=LABEL: None,
        np.array([LABEL, None], dtype=object),
        LABEL[:1],
        SimpleNamespace(read=SimpleNamespace(label=LABEL).__getattribute__),
    ],
)
def test_search_finds_labels_wherever_they_hide(hidden):
    secret = LABEL[5:30]
    assert holds(secret, hidden)
    assert not holds(1 - secret, hidden)


def test_search_does_not_follow_a_module_to_whatever_was_imported():
    assert not holds(TARGET.label[:48], test_search_does_not_follow_a_module_to_whatever_was_imported)
