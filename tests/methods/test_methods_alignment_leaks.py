"""Alignment sees what the protocol grants, windows without labels, and nothing else of the target."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from method_conformance import MethodConformance
from sklearn.linear_model import LogisticRegression
from training_cases import SOURCE, TABLES, TARGET, cell_request, tables_with, with_columns

from scmmlab.errors import TrainingError
from scmmlab.evaluation import make_folds
from scmmlab.methods.alignment.aligned_fold import aligned
from scmmlab.training.data import Selections, cell_data

ALIGNMENTS = {
    "recentre": {"kind": "recentre"},
    "recentre_scale": {"kind": "recentre", "scale": True},
    "coral": {"kind": "coral"},
    "subspace": {"kind": "subspace", "components": 5},
    "tca": {"kind": "tca", "components": 5, "windows": 60},
    "ot": {"kind": "ot", "windows": 60},
    "ot_classes": {"kind": "ot", "windows": 60, "epsilon": 0.3, "class_penalty": 0.01},
}
UDA = ("uda_inductive", "uda_transductive")


class Cases(MethodConformance):
    __test__ = False
    method = "ridge"


CASES = Cases()


def fitted(protocol, alignment, source=SOURCE, target=TARGET, method="ridge", **changes):
    cases = Cases()
    cases.method = method
    given = {f"alignment.{name}": value for name, value in ALIGNMENTS.get(alignment, {}).items()}
    request = cases.request(protocol=protocol, **given, **changes)
    return cases.fitted(cases.runs(request, tables_with(source=source, target=target)))


def features_with(table, rows, by=3.0):
    """The table with other windows in these rows, not all moved alike."""
    features = table.features.copy()
    features[rows] = features[rows] * 1.5 + by
    return with_columns(table, features=features)


def same(one, other):
    return one.model_digest == other.model_digest and np.array_equal(one.validation_logits, other.validation_logits)


# --- labels ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("alignment", ALIGNMENTS)
@pytest.mark.parametrize("protocol", UDA)
def test_labels_of_the_target_move_nothing_whichever_part_they_are_of(protocol, alignment):
    for other in (1 - TARGET.label, np.where(TARGET.subject % 2, TARGET.label, 1 - TARGET.label)):
        before, after = (
            fitted(protocol, alignment),
            fitted(protocol, alignment, target=with_columns(TARGET, label=other)),
        )
        for one, two in zip(before, after, strict=True):
            assert same(one, two)
            np.testing.assert_array_equal(one.test_logits, two.test_logits)


# --- windows ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("alignment", ALIGNMENTS)
def test_inductive_models_do_not_move_with_tested_windows_and_neither_do_other_predictions(alignment):
    before = fitted("uda_inductive", alignment)
    number = len(before) - 1
    fold = before[number].run.data.fold
    moved = fold.test[: len(fold.test) // 2]
    after = fitted("uda_inductive", alignment, target=features_with(TARGET, moved))
    for one, two in zip(before, after, strict=True):
        assert same(one, two)
    own = np.isin(fold.test, moved)
    changed = (before[number].test_logits != after[number].test_logits).any(axis=1)
    np.testing.assert_array_equal(changed, own)
    for one, two in zip(before[:number], after[:number], strict=True):
        np.testing.assert_array_equal(one.test_logits, two.test_logits)


@pytest.mark.parametrize("alignment", ALIGNMENTS)
def test_inductive_alignment_moves_with_the_windows_before_the_test(alignment):
    before = fitted("uda_inductive", alignment)
    granted = before[0].run.data.fold.unlabelled
    after = fitted("uda_inductive", alignment, target=features_with(TARGET, granted[: len(granted) // 2]))
    assert not np.array_equal(before[0].test_logits, after[0].test_logits)


@pytest.mark.parametrize("alignment", ALIGNMENTS)
def test_transductive_alignment_sees_the_tested_windows_of_its_own_fold_alone(alignment):
    before = fitted("uda_transductive", alignment)
    tested = np.concatenate([one.run.data.fold.test for one in before])
    untested = np.setdiff1d(np.arange(len(TARGET)), tested)
    assert len(untested) > len(tested)
    after = fitted("uda_transductive", alignment, target=features_with(TARGET, untested))
    for one, two in zip(before, after, strict=True):
        assert same(one, two)
        np.testing.assert_array_equal(one.test_logits, two.test_logits)
    own = before[0].run.data.fold.test
    after = fitted("uda_transductive", alignment, target=features_with(TARGET, own[: len(own) // 2]))
    rest = np.s_[len(own) // 2 :]
    assert not np.array_equal(before[0].test_logits[rest], after[0].test_logits[rest])
    for one, two in zip(before[1:], after[1:], strict=True):
        assert same(one, two)
        np.testing.assert_array_equal(one.test_logits, two.test_logits)


@pytest.mark.parametrize("protocol", UDA)
def test_nothing_is_granted_to_a_method_that_does_not_align(protocol):
    for alignment, granted in (("none", 0), ("coral", 1)):
        for result in fitted(protocol, alignment):
            assert (len(result.run.data.fold.unlabelled) > 0) == granted
    plain, other = fitted(protocol, "none"), fitted(protocol, "none", target=features_with(TARGET, np.s_[::2]))
    for one, two in zip(plain, other, strict=True):
        assert same(one, two)
    # nor to one that never does
    data = cell_data(cell_request(protocol={"kind": protocol}), Selections(tables_with()))
    assert all(len(fold.fold.unlabelled) == 0 for fold in data.folds)


@pytest.mark.parametrize("alignment", ["coral", "subspace", "tca", "ot"])
def test_validation_windows_are_mapped_and_map_nothing(alignment):
    before = fitted("uda_inductive", alignment)
    rows = before[0].run.data.fold.validation
    after = fitted("uda_inductive", alignment, source=features_with(SOURCE, rows[:3]))
    for one, two in zip(before, after, strict=True):
        assert one.model_digest == two.model_digest
        np.testing.assert_array_equal(one.test_logits, two.test_logits)
        changed = (one.validation_logits != two.validation_logits).any(axis=1)
        np.testing.assert_array_equal(changed, np.arange(len(rows)) < 3)


def test_a_trainer_that_is_granted_nothing_aligns_nothing_and_says_so():
    request = CASES.request(protocol="uda_inductive", **{"alignment.kind": "coral"})
    for kind in ("recentre", "coral"):
        run = CASES.runs(request)[0]
        spec = run.experiment.model_copy(
            update={"alignment": run.experiment.alignment.model_copy(update={"kind": kind})}
        )
        blind = replace(run.data, fold=replace(run.data.fold, unlabelled=np.zeros(0, dtype=np.int64)))
        with pytest.raises(
            TrainingError, match=r"Alignment of c failed on 'subject 0': .* granted none.* Hint: use the"
        ):
            aligned(replace(run, experiment=spec, data=blind))


# --- whose windows ---------------------------------------------------------------------------------------------------


def by_hand(protocol, scale, subjects_per_fold, tables=TABLES):
    """Logits of scikit-learn's logistic regression on windows that are re-centred subject by subject with numpy."""
    spec = CASES.experiment(protocol, **{"protocol.subjects_per_fold": subjects_per_fold}).protocol
    source, target = tables["source"], tables["target"]
    for fold in make_folds(spec, source, target):
        seen = target if fold.trained_on == "target" else source

        def flat(table, rows):
            return table.features[rows].astype(np.float64).reshape(len(rows), -1)

        train, label = flat(seen, fold.finetune), seen.label[fold.finetune]
        mean, sd = train.mean(0), train.std(0)

        def moved(table, rows, known, mean=mean, sd=sd, flat=flat):
            x = flat(table, rows)
            for subject in np.unique(table.subject[rows]):
                own, its = table.subject[rows] == subject, flat(table, known[table.subject[known] == subject])
                x[own] = (x[own] - its.mean(0)) * (sd / its.std(0) if scale else 1.0) + mean
            return (x - mean) / sd

        known = fold.finetune if fold.trained_on == "target" else fold.unlabelled
        validating = fold.finetune if fold.trained_on == "target" else fold.validation
        model = LogisticRegression(solver="newton-cholesky", tol=1e-10).fit(
            moved(seen, fold.finetune, fold.finetune), label
        )
        yield (
            model.predict_proba(moved(target, fold.test, known)),
            model.predict_proba(moved(seen, fold.validation, validating)),
        )


@pytest.mark.parametrize("scale", [False, True])
@pytest.mark.parametrize("protocol", ["honest", *UDA])
def test_recentring_is_by_subject_also_where_several_share_a_fold(protocol, scale):
    results = fitted(
        protocol,
        "recentre_scale" if scale else "recentre",
        method="linear",
        solver="newton",
        tolerance=1e-10,
        **{"protocol.subjects_per_fold": 2},
    )
    assert len(results) == 2
    for result, (test, validation) in zip(results, by_hand(protocol, scale, 2), strict=True):
        np.testing.assert_allclose(np.exp(result.test_logits), test, atol=1e-6)
        np.testing.assert_allclose(np.exp(result.validation_logits), validation, atol=1e-6)


def test_recentred_windows_of_one_subject_do_not_move_those_of_another():
    shared = {"protocol.subjects_per_fold": 2}
    before = fitted("uda_transductive", "recentre", **shared)[0]
    subject = before.run.data.test_subject[before.run.data.fold.test]
    assert set(subject) == {0, 1}
    one_s = before.run.data.fold.test[subject == 0]
    after = fitted("uda_transductive", "recentre", target=features_with(TARGET, one_s[:4]), **shared)[0]
    assert same(before, after)
    changed = (before.test_logits != after.test_logits).any(axis=1)
    np.testing.assert_array_equal(changed, subject == 0)


def test_validation_subjects_are_recentred_by_their_own_windows():
    before = fitted("uda_inductive", "recentre")[0]
    rows = before.run.data.fold.validation
    # all of a subject's windows moved by the same amount: re-centring takes it off again
    features = SOURCE.features.copy()
    features[rows] += np.float32(4.0)
    after = fitted("uda_inductive", "recentre", source=with_columns(SOURCE, features=features))[0]
    assert before.model_digest == after.model_digest
    np.testing.assert_allclose(after.validation_logits, before.validation_logits, atol=1e-4)
    plain = fitted("uda_inductive", "none", source=with_columns(SOURCE, features=features))[0]
    assert np.abs(plain.validation_logits - before.validation_logits).max() > 0.1


def test_subjects_of_source_and_target_with_one_number_are_different_people():
    before = fitted("uda_inductive", "recentre")[0]
    np.testing.assert_array_equal(before.run.data.seen_subject, SOURCE.subject)
    np.testing.assert_array_equal(before.run.data.test_subject, TARGET.subject)
    assert set(SOURCE.subject) == set(TARGET.subject)
    after = fitted("uda_inductive", "recentre", target=with_columns(TARGET, features=TARGET.features + np.float32(5)))[
        0
    ]
    assert before.model_digest == after.model_digest
    np.testing.assert_allclose(after.test_logits, before.test_logits, atol=1e-4)


# --- what is done with it --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("alignment", ALIGNMENTS)
def test_perceptron_is_trained_on_the_same_windows(alignment):
    """On a table of the aligned windows it gives what it gives with alignment on."""
    settings = {"finetune.epochs": 2, "hidden": 8, "layers": 1, "scaling": "standard"}
    for result in fitted("uda_inductive", alignment, method="mlp", **settings)[:2]:
        made = aligned(result.run)
        assert made.seen_features.dtype == np.float64
        spec = result.run.experiment
        off = spec.model_copy(update={"alignment": type(spec.alignment)()})
        cases = Cases()
        (other,) = cases.fitted((replace(result.run, experiment=off, data=made),))
        np.testing.assert_array_equal(other.test_logits, result.test_logits)
        assert other.model_digest == result.model_digest
        assert result.run.data.test_features is not made.test_features


@pytest.mark.parametrize("method", ["linear", "lda", "svm", "knn"])
def test_windows_of_a_trial_are_aligned_before_they_are_seen_together(method):
    settings = {"neighbors": 1} if method == "knn" else {}
    for result in fitted("uda_inductive", "recentre", method=method, context="trial_mean", **settings):
        made = aligned(result.run)
        trial = made.test_trial[made.fold.test]
        np.testing.assert_array_equal(trial, result.run.data.test_trial[result.run.data.fold.test])
        for one in np.unique(trial):
            assert len(np.unique(result.test_logits[trial == one], axis=0)) == 1


def test_windows_that_are_drawn_depend_on_the_seed_and_on_nothing_else():
    first, again, other = (fitted("uda_inductive", "tca", method="ridge", seed=seed)[0] for seed in (0, 0, 1))
    np.testing.assert_array_equal(first.test_logits, again.test_logits)
    assert not np.array_equal(first.test_logits, other.test_logits)
