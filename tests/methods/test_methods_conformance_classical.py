"""The classical methods hold what every method must hold."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from alignment_contexts import ALIGNED, GRANTED
from method_conformance import MethodConformance


class TestRidge(MethodConformance):
    method = "ridge"
    contexts = ALIGNED
    # three trials do not determine fifteen coefficients
    failing = {"alpha": 1e-300, "context": "trial_mean"}
    by_heart = {"alpha": 1e-3}


class TestVote(TestRidge):
    settings = {"context": "vote"}
    together = 6

    def test_prediction_of_a_window_does_not_depend_on_what_is_predicted_with_it(self):
        """It depends on its own trial's windows, and on no others."""
        for protocol in ("honest", "loso"):
            runs = self.runs(self.request(protocol=protocol))
            whole = self.fitted(runs)
            for few in (1, 3):
                fewer, kept = [], []
                for run in runs:
                    fold, trial = run.data.fold, run.data.test_trial[run.data.fold.test]
                    rows = np.flatnonzero(np.isin(trial, np.unique(trial)[-few:]))
                    kept.append(rows)
                    fewer.append(replace(run, data=replace(run.data, fold=replace(fold, test=fold.test[rows]))))
                assert sum(map(len, kept)) <= sum(len(run.data.fold.test) for run in runs)
                for one, all_of_them, rows in zip(self.fitted(tuple(fewer)), whole, kept, strict=True):
                    np.testing.assert_array_equal(one.test_logits, all_of_them.test_logits[rows])


class TestTrialMean(TestVote):
    settings = {"context": "trial_mean"}


class TestLda(MethodConformance):
    method = "lda"
    contexts = ALIGNED
    failing = {"shrinkage": 0.0, "context": "trial_mean"}
    by_heart = {"shrinkage": 0.001}


class TestSvm(MethodConformance):
    method = "svm"
    contexts = ALIGNED
    failing = {"max_iterations": 1}
    by_heart = {"c": 1000.0}


class TestLinearSvm(MethodConformance):
    method = "svm"
    settings = {"kernel": "linear", "gamma": 1.0}
    failing = {"max_iterations": 1}
    by_heart = {"c": 1000.0}
    contexts = (*ALIGNED, {**GRANTED, "kernel": "rbf"})


class TestKnn(MethodConformance):
    method = "knn"
    contexts = ALIGNED
    failing = {"neighbors": 10_000}
    by_heart = {"neighbors": 1}


class TestMajority(MethodConformance):
    method = "majority"

    def test_cell_whose_neighbour_fails_gives_what_it_gives_alone(self):
        """Nothing makes it fail, whatever it is shown: it does not look."""
        runs = self.runs(self.request())
        lost = np.full_like(runs[0].data.seen_features, np.nan)
        blind = [replace(run, data=replace(run.data, seen_features=lost, test_features=lost)) for run in runs]
        for one, other in zip(self.fitted(tuple(blind)), self.fitted(runs), strict=True):
            np.testing.assert_array_equal(one.test_logits, other.test_logits)

    def test_two_trials_can_be_learnt_by_heart(self):
        """It cannot tell them apart: all get the class of the more frequent, and among equals of the first."""
        for run in self.runs(self.request()):
            for few, expected in (((6, 6), 0), ((6, 2), 0), ((2, 6), 1)):
                own = [np.flatnonzero(run.data.finetune_label == label)[:n] for label, n in enumerate(few)]
                rows = np.sort(np.concatenate(own))
                fold = replace(run.data.fold, finetune=run.data.fold.finetune[rows])
                data = replace(run.data, fold=fold, finetune_label=run.data.finetune_label[rows])
                (result,) = self.fitted((replace(run, data=data),))
                assert set(result.test_logits.argmax(1)) == {expected}
                assert result.run.curve[-1]["train_accuracy"] == max(few) / sum(few)
